"""Writes the release's bill of materials in CycloneDX JSON: every crate linked into the program or the functions."""

import json
import pathlib
import re
import subprocess
import uuid

import dist

PACKAGES = ["ecs-task-notifier", "lambdas"]
TARGET = "x86_64-unknown-linux-musl"


def write():
    """Writes the document; returns its path."""
    graph, licences = linked()
    sums = checksums()
    root = f"pkg:cargo/{dist.NAME}@{dist.version()}"
    components = [component(key, licences[key], sums.get(key)) for key in sorted(graph) if reference(key) != root]
    components.append(sqlite())
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, root + json.dumps(components))}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": dist.NAME,
                "version": dist.version(),
                "purl": root,
                "licenses": [{"expression": "Apache-2.0"}],
            }
        },
        "components": components,
        "dependencies": [
            {"ref": reference(key), "dependsOn": sorted(reference(one) for one in needs)}
            for key, needs in sorted(graph.items())
        ],
    }
    path = dist.DIST / dist.bill_of_materials()
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def linked():
    """Returns the linked crates with their dependencies, and their licences. Build tools and macros are left out."""
    graph, licences, above = {}, {}, []
    for package in PACKAGES:
        command = ["cargo", "tree", "--locked", "--package", package, "--target", TARGET, "--prefix", "depth"]
        command += ["--edges", "normal,no-proc-macro", "--format", " {p} | {l}"]
        shown = subprocess.run(command, cwd=dist.ROOT, check=True, capture_output=True, text=True).stdout
        for line in shown.splitlines():
            depth, name, version, licence = re.match(r"(\d+) (\S+) v(\S+).*?\| (.*?)(?: \(\*\))?$", line).groups()
            key = (name, version)
            above[int(depth) :] = [key]
            graph.setdefault(key, set())
            licences[key] = licence.replace("/", " OR ")
            if int(depth) > 0:
                graph[above[-2]].add(key)
    return graph, licences


def checksums():
    """Returns the registry's hash of each crate, from Cargo.lock."""
    entry = re.compile(r'name = "([^"]+)"\nversion = "([^"]+)"\nsource = "[^"]+"\nchecksum = "([^"]+)"')
    return {(name, version): sum for name, version, sum in entry.findall((dist.ROOT / "Cargo.lock").read_text())}


def reference(key):
    return f"pkg:cargo/{key[0]}@{key[1]}"


def component(key, licence, checksum):
    found = {
        "type": "library",
        "bom-ref": reference(key),
        "name": key[0],
        "version": key[1],
        "purl": reference(key),
        "licenses": [{"expression": licence}],
    }
    if checksum:
        found["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return found


def packages():
    """Returns every package of the workspace's graph, in cargo's format."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    shown = subprocess.run(command, cwd=dist.ROOT, check=True, capture_output=True, text=True).stdout
    return json.loads(shown)["packages"]


def sqlite():
    """Returns the entry of SQLite, which libsqlite3-sys compiles into the program."""
    package = next(one for one in packages() if one["name"] == "libsqlite3-sys")
    header = (pathlib.Path(package["manifest_path"]).parent / "sqlite3" / "sqlite3.h").read_text()
    version = re.search(r'#define SQLITE_VERSION\s+"([^"]+)"', header).group(1)
    purl = f"pkg:generic/sqlite@{version}"
    return {"type": "library", "bom-ref": purl, "name": "sqlite", "version": version, "purl": purl}
