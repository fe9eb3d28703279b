"""Writes the tables of the modules' READMEs from their variables and outputs; with --check fails if they differ."""

import pathlib
import re
import sys

MODULE = pathlib.Path(__file__).resolve().parent.parent
BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)


def attribute(body, name):
    """Returns the text of an attribute, which may span lines, or None."""
    found = re.search(rf"^  {name} += (.*?)(?=^  \w+ +=|^\n|^  validation|\Z)", body, re.MULTILINE | re.DOTALL)
    if not found:
        return None
    return re.sub(r"\s+", " ", found.group(1)).strip()


def description(body):
    return attribute(body, "description").strip('"').replace('\\"', '"').replace("|", "\\|")


def tables(module):
    variables = "".join(path.read_text() for path in sorted(module.glob("variables*.tf")))
    inputs = ["| name | description | type | default |", "| --- | --- | --- | --- |"]
    for _, name, body in BLOCK.findall(variables):
        kind = attribute(body, "type")
        if "(object(" in kind:
            kind = kind.partition("(")[0] + "(object)"
        inputs.append(f"| `{name}` | {description(body)} | `{kind}` | `{attribute(body, 'default') or 'required'}` |")
    outputs = ["| name | description |", "| --- | --- |"]
    for _, name, body in BLOCK.findall((module / "outputs.tf").read_text()):
        outputs.append(f"| `{name}` | {description(body)} |")
    return "\n".join(["## Inputs", "", *inputs, "", "## Outputs", "", *outputs, ""])


def main():
    for module in [MODULE, *sorted((MODULE / "modules").iterdir())]:
        readme = module / "README.md"
        text = readme.read_text()
        head, _, _ = text.partition("## Inputs")
        wanted = head + tables(module)
        if "--check" not in sys.argv:
            readme.write_text(wanted)
        elif text != wanted:
            sys.exit(f"{readme}: the tables differ; run python3 infra/terraform/tests/readme.py")


main()
