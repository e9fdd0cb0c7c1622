"""A client of the S3 server, and a bucket of a test's own."""

import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest


@pytest.fixture
def s3(s3_server: str) -> Iterator[Any]:
    client = boto3.client(
        "s3",
        endpoint_url=s3_server,
        region_name="us-east-1",
        aws_access_key_id="moat",
        aws_secret_access_key="moat-secret",
    )
    yield client
    client.close()


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"b{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name)
    return name
