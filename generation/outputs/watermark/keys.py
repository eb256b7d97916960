"""The keys that marks are laid and read with."""

from __future__ import annotations

import hashlib

from django.conf import settings


def current_key() -> bytes:
    """What clips are marked with: made of WATERMARK_KEY, and of SECRET_KEY where that is not set."""
    return _derived(settings.WATERMARK_KEY or settings.SECRET_KEY)


def reading_keys() -> tuple[bytes, ...]:
    """What marks are looked for with: the current key first, then WATERMARK_OLD_KEYS."""
    return (current_key(), *(_derived(secret) for secret in settings.WATERMARK_OLD_KEYS))


def _derived(secret: str) -> bytes:
    return hashlib.blake2b(secret.encode(), digest_size=32, person=b"mutoscope-mark").digest()
