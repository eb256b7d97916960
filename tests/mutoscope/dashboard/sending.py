"""What the pages' script does with a file, without a browser and without the web server that takes the parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from generation.uploads import inspect

HTMX = {"HX-Request": "true"}


def announce(client: Client, name: str, content: bytes) -> Any:
    fields = {"name": name, "size_bytes": len(content)}
    return client.post(reverse("dashboard:announce_upload"), fields, headers=HTMX)


def put(upload: dict[str, Any], content: bytes) -> None:
    """Its only part arrives on local disk."""
    Path(settings.MEDIA_ROOT, "uploads", upload["id"], "1").write_bytes(content)


def outcome(client: Client, upload: dict[str, Any], into: str) -> HttpResponse:
    found: HttpResponse = client.get(
        reverse("dashboard:upload_outcome", args=[upload["id"]]), {"into": into}, headers=HTMX
    )
    return found


def send(client: Client, name: str, content: bytes, into: str = "library") -> HttpResponse:
    """All of it. Gives the fragment that comes of it."""
    upload = announce(client, name, content).json()
    put(upload, content)
    assert client.post(reverse("dashboard:complete_upload", args=[upload["id"]]), headers=HTMX).status_code == 202
    inspect(upload["id"])
    return outcome(client, upload, into)
