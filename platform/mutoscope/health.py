"""Is this process alive, and can it do its work? For load balancers and orchestrators."""

from __future__ import annotations

from collections.abc import Callable

import redis
from django.conf import settings
from django.db import Error, connection
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

_SCHEMA = inline_serializer(
    "Health",
    {
        "status": serializers.ChoiceField(["ok", "unavailable"]),
        "checks": serializers.DictField(child=serializers.CharField(), required=False),
    },
)


class LiveView(APIView):
    """The process answers."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(operation_id="health_live", responses=_SCHEMA, tags=["health"])
    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class ReadyView(APIView):
    """The process reaches what it needs: 200, or 503 with what is missing."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(operation_id="health", responses={200: _SCHEMA, 503: _SCHEMA}, tags=["health"])
    def get(self, request: Request) -> Response:
        checks = {name: _state(check) for name, check in _CHECKS.items()}
        healthy = all(state == "ok" for state in checks.values())
        return Response(
            {"status": "ok" if healthy else "unavailable", "checks": checks}, status=200 if healthy else 503
        )


def _postgres() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _redis() -> None:
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as client:
        client.ping()


_CHECKS: dict[str, Callable[[], None]] = {"postgresql": _postgres, "redis": _redis}


def _state(check: Callable[[], None]) -> str:
    try:
        check()
    except (Error, redis.RedisError, OSError):
        return "unreachable"  # why is in the server's own log: this answer is open to everybody
    return "ok"
