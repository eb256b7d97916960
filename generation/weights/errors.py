"""What stands in the way of a model's weights."""

from __future__ import annotations


class WeightsError(Exception):
    """Weights cannot be fetched or used; the message says why and what to do about it."""
