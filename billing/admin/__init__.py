"""The operators' pages about money, one file a subject."""

from billing.admin import plans

__all__ = ["plans"]
