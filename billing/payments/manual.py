"""The default: operators give credits and plans by hand, and the pages say whom to ask."""

from __future__ import annotations

from typing import Any, NoReturn
from uuid import UUID

from django.conf import settings

from billing.models import CreditPack, Plan
from billing.payments.base import Back, Heard, News, NotSoldOnline, SubscriptionNews
from mutoscope.accounts.models import Workspace
from mutoscope.errors import NotFound


class ManualProvider:
    """Sells nothing."""

    name: str = "manual"
    sells: bool = False

    def check_out_pack(self, workspace: Workspace, pack: CreditPack, back: Back, once: UUID) -> NoReturn:
        raise _ask()

    def check_out_plan(self, workspace: Workspace, plan: Plan, back: Back, once: UUID) -> NoReturn:
        raise _ask()

    def portal(self, workspace: Workspace, back: str) -> NoReturn:
        raise _ask()

    def hear(self, body: bytes, signature: str) -> Heard:
        raise NotFound("no payment provider is set up here, so there is nothing to be told")

    def read(self, payload: dict[str, Any]) -> News | None:
        return None

    def forget(self, customer: str) -> None:
        """There is nobody to tell."""

    def without_people(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {}

    def subscriptions_of(self, customer: str) -> list[SubscriptionNews]:
        return []


def _ask() -> NotSoldOnline:
    whom = settings.BILLING_CONTACT or "whoever runs this installation"
    return NotSoldOnline(f"nothing can be bought online here; ask {whom}")
