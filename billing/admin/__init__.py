"""The operators' pages about money, one file a subject."""

from billing.admin import ledger, payments, plans, prices

__all__ = ["ledger", "payments", "plans", "prices"]
