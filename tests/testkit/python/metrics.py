"""Reads metrics in the text format from stdin with Prometheus's own parser, and prints them as JSON:
name -> {type, samples: [[name, labels, value]]}."""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

families = {}
for family in text_string_to_metric_families(sys.stdin.read()):
    if family.name in families:
        sys.exit(f"{family.name} comes twice")
    if not family.documentation:
        sys.exit(f"{family.name} has no help")
    samples = [[sample.name, sample.labels, sample.value] for sample in family.samples]
    names = [(name, tuple(sorted(labels.items()))) for name, labels, _ in samples]
    if len(names) != len(set(names)):
        sys.exit(f"{family.name} has a sample twice")
    families[family.name] = {"type": family.type, "samples": samples}
json.dump(families, sys.stdout)
