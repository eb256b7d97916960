"""Media in S3, or in what speaks its language: bytes go between it and people, past us.

Links are presigned for one method and one object, and those for parts also for one length: S3 itself refuses
anything else. Parts are listed by asking S3 and not the sender, so pages need not be shown the `ETag` header.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote
from uuid import UUID

from botocore.exceptions import ClientError
from storages.backends.s3 import S3Storage
from storages.utils import safe_join

from assets.storage.base import FOLDER, Incoming, Part, PartLink

_GONE = {"404", "NoSuchKey", "NoSuchUpload"}


class PresignedS3Storage(S3Storage):
    """An upload is one object; where it has several parts, a multipart upload becomes that object."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # One connection, and not one a thread: making one takes a sixth of a second of processor, and under ASGI
        # each request has a thread of its own. What they share is the client, which is made to be shared.
        self._connections = SimpleNamespace()

    def download_url(self, name: str | None, filename: str) -> str:
        disposition = f"attachment; filename*=UTF-8''{quote(filename)}"
        url: str = self.url(name, parameters={"ResponseContentDisposition": disposition})
        return url

    # --- Files that are sent in parts ------------------------------------------------------------------------

    def begin(self, incoming: Incoming) -> str:
        if len(incoming.parts) == 1:
            return ""
        multipart_id: str = self._client.create_multipart_upload(**self._object(incoming))["UploadId"]
        return multipart_id

    def part_link(self, incoming: Incoming, part: Part, lifetime: timedelta) -> PartLink:
        method, wanted = "put_object", {**self._object(incoming), "ContentLength": part.size}
        if incoming.multipart_id:
            method = "upload_part"
            wanted |= {"UploadId": incoming.multipart_id, "PartNumber": part.number}
        seconds = int(lifetime.total_seconds())
        return PartLink(part, self._client.generate_presigned_url(method, Params=wanted, ExpiresIn=seconds))

    def received(self, incoming: Incoming) -> dict[int, int]:
        try:
            if incoming.multipart_id:
                return {part["PartNumber"]: part["Size"] for part in self._listed(incoming)}
            return {1: self._client.head_object(**self._object(incoming))["ContentLength"]}
        except ClientError as error:
            if _code(error) in _GONE:
                return {}
            raise

    def fetch(self, incoming: Incoming, target: Path) -> None:
        try:
            if incoming.multipart_id:
                self._put_together(incoming)
            self._client.download_file(**self._object(incoming), Filename=str(target))
        except ClientError as error:
            if _code(error) in _GONE:
                raise FileNotFoundError(f"nothing has arrived of the upload {incoming.id}") from error
            raise

    def _put_together(self, incoming: Incoming) -> None:
        try:
            parts = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in self._listed(incoming)]
            self._client.complete_multipart_upload(
                **self._object(incoming), UploadId=incoming.multipart_id, MultipartUpload={"Parts": parts}
            )
        except ClientError as error:
            if _code(error) != "NoSuchUpload":  # which is what a former attempt that did it leaves
                raise

    def _listed(self, incoming: Incoming) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("list_parts")
        for page in pages.paginate(**self._object(incoming), UploadId=incoming.multipart_id):
            yield from page.get("Parts", ())

    def discard(self, incoming: Incoming) -> None:
        if incoming.multipart_id:
            with contextlib.suppress(self._client.exceptions.NoSuchUpload):
                self._client.abort_multipart_upload(**self._object(incoming), UploadId=incoming.multipart_id)
        self._client.delete_object(**self._object(incoming))

    def held(self) -> Iterator[Incoming]:
        home = {"Bucket": self.bucket_name, "Prefix": safe_join(self.location, FOLDER) + "/"}
        for page in self._client.get_paginator("list_objects_v2").paginate(**home):
            for found in page.get("Contents", ()):
                yield from _incoming(found["Key"])
        for page in self._client.get_paginator("list_multipart_uploads").paginate(**home):
            for found in page.get("Uploads", ()):
                yield from _incoming(found["Key"], found["UploadId"])

    def _object(self, incoming: Incoming) -> dict[str, Any]:
        return {"Bucket": self.bucket_name, "Key": safe_join(self.location, f"{incoming.folder}/whole")}

    @property
    def _client(self) -> Any:
        return self.connection.meta.client


def _incoming(key: str, multipart_id: str = "") -> Iterator[Incoming]:
    with contextlib.suppress(ValueError, IndexError):  # not an upload's: left alone
        yield Incoming(UUID(key.rsplit("/", 2)[-2]), multipart_id=multipart_id)


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
