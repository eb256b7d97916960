"""The operators' pages about money, one file a subject."""

from billing.admin import ledger, plans

__all__ = ["ledger", "plans"]
