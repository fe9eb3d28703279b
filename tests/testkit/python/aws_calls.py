"""Makes calls by AWS's own Python client: a line `[service, operation, parameters]` in, a line with the answer out.

An error of AWS is an answer too: {"error": what it says}. Arguments: the endpoint, an access key and its secret.
"""

import json
import sys

import boto3
from botocore.exceptions import ClientError

url, key, secret = sys.argv[1:]
clients = {}
for line in sys.stdin:
    service, operation, parameters = json.loads(line)
    if service not in clients:
        clients[service] = boto3.client(
            service, endpoint_url=url, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret
        )
    try:
        answer = getattr(clients[service], operation)(**parameters)
    except ClientError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer, default=str), flush=True)
