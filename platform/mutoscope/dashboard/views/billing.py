"""Plans and credits: what there is, what the workspace is on, and the way to the till.

Nothing is given here: what was bought arrives by the payment provider's webhook.
"""

from __future__ import annotations

from uuid import UUID, uuid4

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from billing.entitlements import entitlements_of
from billing.models import Plan, Subscription
from billing.payments import shop
from billing.payments.base import Back
from billing.payments.provider import provider
from billing.renewals import available
from mutoscope.accounts.selectors import Access
from mutoscope.dashboard.gate import MANAGE, Visit, workspace_page
from mutoscope.dashboard.offers import in_order, pack_card, plan_card
from mutoscope.errors import NotFound


@workspace_page()
def billing(request: Visit, access: Access) -> HttpResponse:
    """Plans, packs, and how the workspace stands."""
    if "bought" in request.GET:
        # Said once: the address without it is what stays in the browser.
        messages.success(request, "Thank you. What you bought is here as soon as the payment is confirmed.")
        return redirect("dashboard:billing")
    current = entitlements_of(access.workspace.pk)
    sells = provider().sells
    context = {
        "plan": current,
        "subscription": Subscription.objects.filter(workspace=access.workspace).first(),
        "credits": available(access.workspace.pk, current),
        "plans": [plan_card(plan, current=current.slug, sells=sells) for plan in in_order(Plan.objects.all())],
        "packs": [pack_card(pack) for pack in shop.packs_on_sale()],
        "sells": sells,
        "has_portal": sells and shop.is_customer(access.workspace),
        "contact": settings.BILLING_CONTACT,
        "once": uuid4(),
    }
    return render(request, "dashboard/billing.html", context)


@workspace_page("POST", needs=MANAGE)
def buy_pack(request: Visit, access: Access, slug: str) -> HttpResponse:
    """To the till with a pack."""
    return redirect(shop.check_out_pack(access.workspace, slug, _back(), _once(request)))


@workspace_page("POST", needs=MANAGE)
def buy_plan(request: Visit, access: Access, slug: str) -> HttpResponse:
    """To the till with a plan."""
    return redirect(shop.check_out_plan(access.workspace, slug, _back(), _once(request)))


@workspace_page("POST", needs=MANAGE)
def portal(request: Visit, access: Access) -> HttpResponse:
    """To where cards, plan and invoices are."""
    return redirect(shop.portal(access.workspace, _page()))


def _page() -> str:
    """Absolute, for somebody who comes back from another site."""
    return f"{settings.PUBLIC_URL}{reverse('dashboard:billing')}"


def _back() -> Back:
    return Back(bought=f"{_page()}?bought", cancelled=_page())


def _once(request: Visit) -> UUID:
    """What makes a double click one purchase: the page gives each showing of itself a name."""
    try:
        return UUID(request.POST.get("once", ""))
    except ValueError as error:
        raise NotFound("the page is out of date; open it again") from error
