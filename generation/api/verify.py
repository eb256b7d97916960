"""/api/v1/verify: whether a file was made here."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from generation import verification
from generation.verification import Answer
from mutoscope.accounts.permissions import access


class QuestionSerializer(serializers.Serializer[Any]):
    """A file, or an asset of the library; one of them."""

    file = serializers.FileField(required=False, help_text=verification.ACCEPTED)
    asset = serializers.UUIDField(required=False, help_text="The id of an asset of the library.")

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        if len(asked) != 1:
            raise serializers.ValidationError(f"either `file` or `asset` must be given, but {len(asked)} are")
        return asked


class AnswerSerializer(serializers.Serializer[Answer]):
    """What is known of the file."""

    made_here = serializers.BooleanField(help_text="It carries the invisible mark of this installation.")
    made_at = serializers.DateTimeField(allow_null=True, help_text="When its job ended, as far as it is known.")
    job = serializers.UUIDField(
        source="job.pk", default=None, allow_null=True, help_text="Null unless it is a job of this workspace."
    )
    model = serializers.CharField(
        source="job.model", default=None, allow_null=True, help_text="Null unless it is a job of this workspace."
    )
    strength = serializers.FloatField(
        allow_null=True, help_text="How far the mark stands out, in standard deviations of chance."
    )


@extend_schema(tags=["assets"])
class VerifyView(APIView):
    """The origin of a file."""

    parser_classes = [MultiPartParser, JSONParser]
    scopes: ClassVar[dict[str, str]] = {"write": "assets:read"}

    @extend_schema(
        operation_id="verify",
        request=QuestionSerializer,
        responses=AnswerSerializer,
        description="Looks for the invisible mark that every clip made here carries, in a clip or in a picture "
        "such as a screenshot of one frame. Whose job made it is told to the job's own workspace alone. "
        "Nothing of the file is kept.",
    )
    def post(self, request: Request) -> Response:
        asked = QuestionSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        if file := given.get("file"):
            answer = verification.verify_upload(access(request), file.file, file.name, file.size)
        else:
            answer = verification.verify_asset(access(request), given["asset"])
        return Response(AnswerSerializer(answer).data)
