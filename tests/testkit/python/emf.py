"""Validates each line of stdin against the JSON schema in the file that the argument names."""

import json
import sys

import jsonschema

with open(sys.argv[1]) as file:
    schema = json.load(file)
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
for line in sys.stdin:
    line = json.loads(line)
    validator.validate(line)
    # What the schema cannot say: each metric and each dimension is a member of the line.
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for metric in directive["Metrics"]:
            value = line[metric["Name"]]
            values = value if isinstance(value, list) else [value]
            assert values and len(values) <= 100, metric
            assert all(type(value) in (int, float) for value in values), metric
        for dimensions in directive["Dimensions"]:
            assert all(isinstance(line[name], str) and line[name] for name in dimensions), dimensions
print("valid")
