"""The operators' pages about money, one file a subject."""

from billing.admin import plans, prices

__all__ = ["plans", "prices"]
