"""The admin's sidebar, in the order an operator works: what runs, what there is, who it is for."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from generation.safety.moderation.reviews import waiting


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Groups of links, as django-unfold wants them."""
    return [
        {
            "title": "Generation",
            "items": [
                _link("Jobs", "movie", "generation_job"),
                _link("Quality", "fact_check", "generation_clipcheck"),
                _link("Renditions", "transform", "assets_rendition"),
                _link("Lanes", "low_priority", "generation_pause"),
                _link("Workers", "memory", "generation_worker"),
                _link("Licences", "gavel", "generation_licenceacceptance"),
                _link("Adapters", "layers", "generation_adapter"),
                _link("Visible marks", "branding_watermark", "generation_visiblemark"),
            ],
        },
        {
            "title": "Safety",
            "items": [
                _link("Reviews", "rate_review", "generation_review") | _badge(waiting()),
                _link("Blocked terms", "block", "generation_blockedterm"),
            ],
        },
        {
            "title": "Library",
            "items": [
                _link("Assets", "photo_library", "assets_asset"),
                {"title": "Verify a file", "icon": "policy", "link": reverse("admin-verify")},
            ],
        },
        {
            "title": "People",
            "items": [
                _link("Workspaces", "workspaces", "accounts_workspace"),
                _link("Users", "person", "accounts_user"),
                _link("API keys", "key", "accounts_apikey"),
            ],
        },
        {
            "title": "Billing",
            "items": [
                _link("Plans", "sell", "billing_plan"),
                _link("Subscriptions", "card_membership", "billing_subscription"),
                _link("Overrides", "tune", "billing_planoverride"),
                _link("Credit packs", "redeem", "billing_creditpack"),
                _link("Payments", "payments", "billing_payment"),
                _link("Payment events", "webhook", "billing_providerevent"),
                _link("Customers", "badge", "billing_customer"),
                _link("Ledger", "receipt_long", "billing_entry"),
                _link("Accounts of credits", "account_balance_wallet", "billing_account"),
                _link("Costs", "query_stats", "generation_attempt"),
                _link("GPUs", "developer_board", "billing_gpu"),
                _link("GPU prices", "price_change", "billing_gpuprice"),
                _link("Others' prices", "compare_arrows", "billing_peerprice"),
                {"title": "Planner", "icon": "calculate", "link": reverse("admin-planner")},
            ],
        },
    ]


def _badge(count: int) -> dict[str, int]:
    """Beside a link, how many wait for an operator; nothing where none does."""
    return {"badge": count} if count else {}


def _link(title: str, icon: str, model: str) -> dict[str, str]:
    return {"title": title, "icon": icon, "link": reverse(f"admin:{model}_changelist")}
