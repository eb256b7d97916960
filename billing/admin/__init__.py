"""The operators' pages about money, one file a subject."""

from billing.admin import ledger, payments, plans

__all__ = ["ledger", "payments", "plans"]
