"""/api/v1/me and /api/v1/workspace."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mutoscope.accounts.models import Workspace
from mutoscope.accounts.permissions import access


class WorkspaceSerializer(serializers.ModelSerializer[Workspace]):
    class Meta:
        model = Workspace
        fields = ["id", "name", "created_at"]


class MeSerializer(serializers.Serializer[Any]):
    """Who is asking: a person (`user`) or a program (`api_key`), in which workspace, with which scopes."""

    user = serializers.EmailField(allow_null=True)
    role = serializers.CharField(help_text="The person's role in the workspace; empty for programs.")
    api_key = serializers.CharField(allow_null=True, help_text="The prefix that the key is known by.")
    scopes = serializers.ListField(child=serializers.CharField())
    workspace = WorkspaceSerializer()


class MeView(APIView):
    """Who is asking."""

    @extend_schema(operation_id="me", responses=MeSerializer, tags=["account"])
    def get(self, request: Request) -> Response:
        asking = access(request)
        me = {
            "user": asking.user.email if asking.user else None,
            "role": asking.role,
            "api_key": asking.key.prefix if asking.key else None,
            "scopes": sorted(asking.scopes),
            "workspace": asking.workspace,
        }
        return Response(MeSerializer(me).data)


class WorkspaceView(APIView):
    """The workspace that the key belongs to, or that the person is in."""

    @extend_schema(operation_id="workspace", responses=WorkspaceSerializer, tags=["account"])
    def get(self, request: Request) -> Response:
        return Response(WorkspaceSerializer(access(request).workspace).data)
