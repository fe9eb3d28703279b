"""Collects the licence texts of all linked crates, which their licences require with the program."""

import pathlib
import re

import sbom

LICENCE_FILE = re.compile(r"(licen[cs]e|copying|notice)", re.IGNORECASE)


def text():
    """Returns each text once, after the names of its crates."""
    folders = {(one["name"], one["version"]): pathlib.Path(one["manifest_path"]).parent for one in sbom.packages()}
    _, licences = sbom.linked()
    owners = {}
    for key in sorted(licences):
        for path in sorted(folders[key].iterdir()):
            if path.is_file() and LICENCE_FILE.match(path.name):
                owners.setdefault(path.read_text(errors="replace").strip(), []).append(f"{key[0]} {key[1]}")
    named = {owner for all in owners.values() for owner in all}
    lines = [f"{name} {version}: {licences[name, version]}" for name, version in sorted(licences)]
    bare = [line for line in lines if line.split(":")[0] not in named]
    parts = ["The program links these crates. The following have no licence text below, only the name of a licence:"]
    parts += ["\n".join(bare)] if bare else []
    parts += ["\n".join([", ".join(dict.fromkeys(crates)), "", licence]) for licence, crates in owners.items()]
    return f"\n\n{'-' * 80}\n\n".join(parts) + "\n"
