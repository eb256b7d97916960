"""Where Stripe's webhooks arrive. Nobody is signed in here: the signature says who it is."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.payments import events
from billing.payments.provider import provider
from mutoscope.errors import Refusal

MAX_BYTES = 1 << 20
"""Stripe's events are a few KiB; an invoice with many lines some hundred."""


class TooLarge(Refusal):
    """The body has more bytes than any event."""

    status = 413
    code = "too_large"


class StripeWebhookView(APIView):
    """Keeps what was said and answers; what it cannot do yet is tried again from what was kept."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()

    @extend_schema(exclude=True)
    def post(self, request: Request) -> Response:
        till = provider()
        # Read and not `body`: who announces no length is stopped, too.
        body = request._request.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise TooLarge(f"an event may have at most {MAX_BYTES:,} bytes, but this one has more")
        event = events.keep(till, till.hear(body, request.headers.get("Stripe-Signature", "")))
        if event.processed_at is None:
            events.take_in(till, event.pk)
        return Response({"received": True})
