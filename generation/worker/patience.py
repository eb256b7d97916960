"""Being patient with a storage that refuses: it is away or full for a while, and the work is too dear to lose."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.conf import settings

from generation import attempts
from generation.engines.base import EngineError

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 8.0
"""Seconds between tries."""


def patiently(call: Callable[[], T], *, wanted: Callable[[], bool], what: str) -> T:
    """What `call` gives; called again with growing pauses, for `STORAGE_PATIENCE`, while it is `wanted`.

    Raises FileNotFoundError at once (to ask again would not bring the file back), `attempts.Lost` when it is no
    longer wanted, and `EngineError` (machine) when patience has run out.
    """
    began, pause = time.monotonic(), FIRST_PAUSE
    while wanted():
        try:
            return call()
        except FileNotFoundError:
            raise
        except Exception as error:  # each kind of storage has errors of its own
            if time.monotonic() + pause > began + settings.STORAGE_PATIENCE.total_seconds():
                raise EngineError("storage_failed", f"the storage refuses {what}: {error}", "machine") from error
            log.warning("the storage refuses %s; tried again in %g s: %s", what, pause, error)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    raise attempts.Lost
