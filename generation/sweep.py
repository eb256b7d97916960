"""One round of removing files: of deleted workspaces, and of the trash."""

from __future__ import annotations

import time

from assets import trash
from generation.deletion import workspaces

ROUND = 30.0
"""Seconds after which a round ends; what is left is for the next."""


def is_due() -> bool:
    """Whether there is anything to do."""
    return trash.is_due() or workspaces.unfinished().exists()


def sweep() -> None:
    """Remove what is due, for `ROUND` seconds at most. Safe to run twice at once."""
    until = time.monotonic() + ROUND
    workspaces.carry_on(until)
    trash.discard_due(until)
