"""Draws docs/demo.svg from the output of `demo`; with --check verifies that the picture matches the output.

    python3 packaging/picture.py target/debug/ecs-task-notifier [--check]
"""

import html
import os
import pathlib
import re
import subprocess
import sys

PICTURE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "demo.svg"
COLUMNS = 108
CHARACTER_PX, LINE_PX, MARGIN_PX = 7.25, 17, 16
STYLE = """\
text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d7dae0; white-space: pre }
.b { font-weight: bold } .d { fill: #8b929e } .r { fill: #f07178 } .g { fill: #a5d076 } .y { fill: #e6c067 }"""
CLASSES = {"1": "b", "2": "d", "31": "r", "32": "g", "33": "y"}
SEQUENCE = re.compile(r"\x1b\[([\d;]*)m")
# Values that differ from run to run: latencies, the loopback network, and so the widths of the columns.
CHANCE = [(r"\d+(\.\d+)? m?s\b", "TIME"), (r"127\.\d+\.", "127.N."), (r"\s+", " ")]


def end_of_demo(program):
    """Returns the report up to its totals, and the last line of the demo."""
    environment = os.environ | {"COLUMNS": str(COLUMNS)}
    command = [program, "demo", "--color", "always"]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True)
    if shown.returncode != 0:
        sys.exit(f"the demo ended with {shown.returncode}:\n{shown.stderr}")
    report, total, _ = re.split(r"^(\S*28 containers.*)$", shown.stdout, maxsplit=1, flags=re.MULTILINE)
    return [*report.splitlines(), total, "", shown.stderr.strip().splitlines()[-1]]


def draw(lines):
    height = 2 * MARGIN_PX + LINE_PX * (len(lines) + 1)
    width = 2 * MARGIN_PX + CHARACTER_PX * COLUMNS
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" role="img">'
    yield f"<title>The last lines of `ecs-task-notifier demo`</title>\n<style>\n{STYLE}\n</style>"
    yield f'<rect width="{width:g}" height="{height}" rx="8" fill="#1e2229"/>'
    for number, line in enumerate(["$ uvx ecs-task-notifier demo", *lines], 1):
        yield f'<text x="{MARGIN_PX}" y="{MARGIN_PX + LINE_PX * number - 5}" xml:space="preserve">{spans(line)}</text>'
    yield "</svg>"


def spans(line):
    drawn, kind = "", ""
    for index, part in enumerate(SEQUENCE.split(line)):
        if index % 2:
            kind = " ".join(CLASSES[code] for code in part.split(";") if code in CLASSES)
        elif part:
            text = html.escape(part)
            drawn += f'<tspan class="{kind}">{text}</tspan>' if kind else text
    return drawn


def said(svg):
    """Returns the words of a picture without the values that differ from run to run."""
    lines = [html.unescape(re.sub(r"<[^>]+>", "", line)) for line in re.findall(r"<text.*?</text>", svg)]
    for pattern, instead in CHANCE:
        lines = [re.sub(pattern, instead, line).strip() for line in lines]
    return lines


def main():
    program, *flags = sys.argv[1:]
    drawn = "\n".join(draw(end_of_demo(program))) + "\n"
    if flags == ["--check"]:
        if said(PICTURE.read_text()) != said(drawn):
            sys.exit(f"{PICTURE} does not match the output of the demo: run `make picture`")
    else:
        PICTURE.write_text(drawn)


if __name__ == "__main__":
    main()
