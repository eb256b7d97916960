"""Verdicts of the portrait check as the API tells them; the view is with the assets, in `mutoscope.api.assets`."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from generation.safety.portrait.base import FaceFigures, Figures, Portrait, Reason, Severity, Verdict


class _Box(serializers.ListField):
    child = serializers.IntegerField()

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=4, max_length=4, **options)


class PortraitReasonSerializer(serializers.Serializer[Reason]):
    """A rule that the picture does not hold to."""

    code = serializers.CharField()
    message = serializers.CharField()
    severity = serializers.ChoiceField([*Severity], help_text="What refuses keeps it from being animated.")


class FaceFiguresSerializer(serializers.Serializer[FaceFigures]):
    """Boxes are left, top, width and height in pixels; angles are degrees."""

    box = _Box()
    head = _Box(help_text="With hair, ears and neck.")
    share = serializers.FloatField(help_text="Of the picture, 0 to 1.")
    inside = serializers.FloatField(help_text="Share of the face that is inside the picture.")
    yaw = serializers.FloatField(help_text="Towards the picture's right; below 0, left.")
    pitch = serializers.FloatField(help_text="Downwards; straight into the camera is about 10.")
    roll = serializers.FloatField(help_text="Clockwise.")
    contrast = serializers.FloatField(help_text="Light of the brighter half over the darker one's.")
    light = serializers.FloatField(help_text="Mean luminance, 0 to 1, linear.")
    burnt = serializers.FloatField(help_text="Share that is plain white.")
    black = serializers.FloatField(help_text="Share that is plain black.")
    sharpness = serializers.FloatField()


class PictureFiguresSerializer(serializers.Serializer[Figures]):
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    faces = serializers.IntegerField()
    face = FaceFiguresSerializer(allow_null=True, help_text="The largest.")


class PortraitSerializer(serializers.Serializer[Portrait]):
    """`good`, `usable` (with advice), or `refused`."""

    verdict = serializers.ChoiceField([*Verdict])
    reasons = PortraitReasonSerializer(many=True)
    figures = PictureFiguresSerializer()
