"""The operators' pages about money, one file a subject."""

from billing.admin import ledger, plans, prices

__all__ = ["ledger", "plans", "prices"]
