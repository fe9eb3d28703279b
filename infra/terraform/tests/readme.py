"""Writes the tables of the module's README from its variables and outputs; with --check fails if they differ."""

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
    return attribute(body, "description").strip('"').replace("|", "\\|")


def tables():
    variables = "".join((MODULE / name).read_text() for name in ["variables.tf", "variables_sources.tf"])
    inputs = ["| name | description | type | default |", "| --- | --- | --- | --- |"]
    for _, name, body in BLOCK.findall(variables):
        kind = attribute(body, "type")
        if "(object(" in kind:
            kind = kind.partition("(")[0] + "(object)"
        inputs.append(f"| `{name}` | {description(body)} | `{kind}` | `{attribute(body, 'default')}` |")
    outputs = ["| name | description |", "| --- | --- |"]
    for _, name, body in BLOCK.findall((MODULE / "outputs.tf").read_text()):
        outputs.append(f"| `{name}` | {description(body)} |")
    return "\n".join(["## Inputs", "", *inputs, "", "## Outputs", "", *outputs, ""])


def main():
    readme = MODULE / "README.md"
    text = readme.read_text()
    head, _, _ = text.partition("## Inputs")
    wanted = head + tables()
    if "--check" not in sys.argv:
        readme.write_text(wanted)
    elif text != wanted:
        sys.exit("infra/terraform/README.md: the tables differ; run python3 infra/terraform/tests/readme.py")


main()
