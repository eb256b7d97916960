"""Identifiers: UUIDs of version 7, which sort by the time they were made."""

import uuid

from uuid_utils import compat


def new_id() -> uuid.UUID:
    """A new UUID (RFC 9562, version 7): unguessable enough for a name, ordered by creation for indexes."""
    return compat.uuid7()
