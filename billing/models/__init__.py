"""Shapes and constraints: plans and who is on them, the ledger of credits, what GPUs cost, and payments."""

from billing.models.ledger import Account, Entry, Transfer
from billing.models.payments import CreditPack, Customer, Payment, ProviderEvent
from billing.models.plans import LIMITS, Plan, PlanOverride, Subscription, UsageWarning
from billing.models.prices import Gpu, GpuPrice, PeerPrice

__all__ = [
    "LIMITS",
    "Account",
    "CreditPack",
    "Customer",
    "Entry",
    "Gpu",
    "GpuPrice",
    "Payment",
    "PeerPrice",
    "Plan",
    "PlanOverride",
    "ProviderEvent",
    "Subscription",
    "Transfer",
    "UsageWarning",
]
