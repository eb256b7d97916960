"""Signed links to what lies on local disk: they say what is allowed, until when, and cannot be changed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing

_READ, _WRITE = "assets.storage.read", "assets.storage.write"


@dataclass(frozen=True, slots=True)
class Reading:
    """A file that may be fetched; with `filename`, it is to be saved under that name."""

    name: str
    filename: str = ""


@dataclass(frozen=True, slots=True)
class Writing:
    """A file of exactly so many bytes that may be put there."""

    name: str
    size: int


def sign_reading(reading: Reading, seconds: int | None = None) -> str:
    """A token for a link that lives so many seconds, `LINK_LIFETIME` without."""
    lifetime = settings.LINK_LIFETIME.total_seconds() if seconds is None else seconds
    return _sign(_READ, [reading.name, reading.filename], lifetime)


def sign_writing(writing: Writing, lifetime: timedelta) -> str:
    return _sign(_WRITE, [writing.name, writing.size], lifetime.total_seconds())


def read_reading(token: str) -> Reading | None:
    """None where the token is forged or has expired."""
    values = _read(_READ, token)
    return Reading(*values) if values else None


def read_writing(token: str) -> Writing | None:
    """None where the token is forged or has expired."""
    values = _read(_WRITE, token)
    return Writing(*values) if values else None


def _sign(salt: str, values: list[Any], lifetime: float) -> str:
    return signing.Signer(salt=salt).sign_object([int(time.time() + lifetime), *values])


def _read(salt: str, token: str) -> list[Any] | None:
    try:
        expires, *values = signing.Signer(salt=salt).unsign_object(token)
    except signing.BadSignature:
        return None
    return values if time.time() < expires else None
