"""What OpenAPI cannot see in the views: the API key scheme, and the problem answers that every call may give."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from mutoscope.api.errors import MEDIA_TYPE


class FieldProblem(serializers.Serializer[Any]):
    field = serializers.CharField(help_text="The input at fault, as a dotted path; empty for the whole body.")
    message = serializers.CharField(help_text="The rule and the value, in a sentence.")


class Problem(serializers.Serializer[Any]):
    """An error, by RFC 9457. Programs decide by `code`; people read `detail`."""

    type = serializers.CharField(help_text="urn:mutoscope:problem:CODE")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    instance = serializers.CharField(help_text="urn:mutoscope:request:ID, the id that our logs have.")
    errors = FieldProblem(many=True, required=False)  # type: ignore[assignment]


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "mutoscope.api.auth.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A workspace's API key: muto_…"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "mutoscope.api.auth.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}


class ProblemAutoSchema(AutoSchema):
    """Adds the problem answers to every operation."""

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation:
            schema = self.resolve_serializer(Problem, "response").ref
            operation["responses"].setdefault(
                "default",
                {"description": "Any error.", "content": {MEDIA_TYPE: {"schema": schema}}},
            )
        return operation
