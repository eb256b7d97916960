"""An S3 of our own, and the bucket in it that media go to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from mutoscope.settings import media_storage
from tests.s3 import ACCESS_KEY, REGION, SECRET_KEY, s3_server

BUCKET = "mutoscope-test"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(endpoint: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bucket that media go to, with the storage that the settings make for it."""
    for name, value in {
        "S3_ACCESS_KEY": ACCESS_KEY,
        "S3_SECRET_KEY": SECRET_KEY,
        "S3_REGION": REGION,
        "S3_BUCKET": BUCKET,
        "S3_ENDPOINT_URL": endpoint,
    }.items():
        monkeypatch.setenv(name, value)
    found = boto3.resource(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name=REGION,
    ).Bucket(BUCKET)
    found.create()
    settings.STORAGES = {**settings.STORAGES, "default": media_storage()}
    yield found
    for upload in found.multipart_uploads.all():
        upload.abort()
    found.objects.delete()
    found.delete()
