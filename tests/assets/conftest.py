"""An S3 of our own, and a bucket in it that media go to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from mutoscope.settings import media_storage

BUCKET = "mutoscope-test"
KEYS = {"S3_ACCESS_KEY": "key", "S3_SECRET_KEY": "secret", "S3_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 of our own."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bucket that media go to, with the storage that the settings make for it."""
    for name, value in {**KEYS, "S3_BUCKET": BUCKET, "S3_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)
    found = boto3.resource(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    ).Bucket(BUCKET)
    found.create()
    settings.STORAGES = {**settings.STORAGES, "default": media_storage()}
    yield found
    found.objects.delete()
    found.delete()
