"""What commands that make clips look at first: whether what they make can be signed."""

from __future__ import annotations

from django.core.management.base import CommandError, OutputWrapper

from generation.outputs.provenance import BadIdentity, signing_identity, warning_about
from mutoscope.env import PRODUCTION


def check_what_signs(stderr: OutputWrapper) -> None:
    """Find out now, and not after the first clip was made. Raises CommandError."""
    try:
        warning = warning_about(signing_identity())
    except BadIdentity as error:
        raise CommandError(f"clips cannot be signed: {error}") from error
    if warning and PRODUCTION:
        stderr.write(f"WARNING: {warning}")
