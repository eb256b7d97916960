"""Drawing the numbers that clips' noise begins from."""

from __future__ import annotations

import secrets

from generation.models import MAX_SEED


def draw_seed(*, other_than: int | None = None) -> int:
    """A seed, any but `other_than` as likely as any other."""
    while (seed := secrets.randbelow(MAX_SEED + 1)) == other_than:
        continue
    return seed
