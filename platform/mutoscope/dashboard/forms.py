"""Forms read types; what is allowed is for the services to say. Their refusals become the fields' errors."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.utils.datastructures import MultiValueDict

from assets.services import NAME_LENGTH
from generation import catalog
from generation.adapters import AdapterWish
from generation.catalog.schema import Mode
from generation.models import VisibleMark
from generation.outputs.visible.editing import USUAL, MarkWish
from generation.services import JobRequest
from mutoscope.accounts.models import ApiKey
from mutoscope.errors import Refusal


class RefusableForm(forms.Form):
    """A form whose service may refuse."""

    def refuse(self, refusal: Refusal) -> None:
        """Show the refusal, word for word, at the field at fault or above the form."""
        self.add_error(refusal.field if refusal.field in self.fields else None, refusal.message)


class AnnouncementForm(forms.Form):
    """A file that the page is about to send. An empty one is refused as it would be when it is looked into."""

    name = forms.CharField(max_length=NAME_LENGTH)
    size_bytes = forms.IntegerField(min_value=0)

    def announcement(self) -> dict[str, Any]:
        """What `generation.uploads.announce` takes. Raises `Refusal`."""
        if not self.is_valid():
            raise Refusal("; ".join(f"{name}: {errors[0]}" for name, errors in self.errors.items()))
        if not self.cleaned_data["size_bytes"]:
            raise Refusal("The file is empty: it has 0 bytes.", code="empty")
        return self.cleaned_data


class CreateForm(RefusableForm):
    """Everything a job can be asked with. What is left empty takes the model's or the plan's default."""

    token = forms.CharField(required=False, max_length=64)
    model = forms.CharField(required=False)
    mode = forms.CharField(required=False)
    picture = forms.UUIDField(required=False)
    last_picture = forms.UUIDField(required=False)
    file = forms.FileField(required=False, allow_empty_file=True, max_length=None)
    size = forms.CharField(required=False)
    seconds = forms.FloatField(required=False)
    fps = forms.IntegerField(required=False)
    preset = forms.CharField(required=False)
    adapters = forms.Field(required=False, widget=forms.SelectMultiple)
    prompt = forms.CharField(required=False, strip=False)
    negative_prompt = forms.CharField(required=False, strip=False)
    steps = forms.IntegerField(required=False)
    guidance = forms.FloatField(required=False)
    seed = forms.IntegerField(required=False)
    format = forms.CharField(required=False)
    quality = forms.CharField(required=False)
    output_fps = forms.IntegerField(required=False)
    loop = forms.CharField(required=False)
    sound = forms.UUIDField(required=False)
    tier = forms.CharField(required=False)

    @property
    def shown(self) -> dict[str, str]:
        """What each input holds when the page is drawn: what was typed, else what the form starts from."""
        values = {name: self[name].value() for name in self.fields if name not in ("file", "adapters")}
        values["token"] = values["token"] or str(uuid4())
        return {name: "" if value is None else str(value) for name, value in values.items()}

    def choose_picture(self, picture_id: UUID) -> None:
        """Take a picture that came with this form as a file, so that the page drawn again has it chosen."""
        data = MultiValueDict(self.data)
        data["picture"] = str(picture_id)
        self.data = data
        self.cleaned_data["picture"] = picture_id

    @property
    def chosen_adapters(self) -> dict[str, str]:
        """The adapters that are ticked, each with its strength as typed."""
        source = self.data if self.is_bound else self.initial
        names: list[str] = self["adapters"].value() or []
        return {name: str(source.get(f"strength-{name}", "")) for name in names}

    def clean_adapters(self) -> tuple[AdapterWish, ...]:
        """The wishes; whether the model takes them is for the services to say."""
        wishes = []
        for name, typed in self.chosen_adapters.items():
            try:
                wishes.append(AdapterWish(name, float(typed) if typed else None))
            except ValueError as error:
                raise forms.ValidationError(
                    f"the strength of {name} must be a number, but is {typed!r}"
                ) from error
        return tuple(wishes)

    def to_request(self) -> JobRequest:
        """The job that is asked for."""
        given = {name: value for name, value in self.cleaned_data.items() if value != ""}
        asked: dict[str, Any] = {name: given[name] for name in given.keys() - {"token", "file"}}
        asked.setdefault("model", "")
        # What the page hides stays chosen there, for when the mode or the model is changed back.
        if asked.get("mode") == Mode.TEXT_TO_VIDEO:
            asked["picture"] = None
        if asked.get("mode") != Mode.FIRST_LAST_FRAME:
            asked["last_picture"] = None
        model = catalog.models().get(asked["model"])
        if model and model.prompt.use == "ignored":
            asked |= {"prompt": "", "negative_prompt": ""}
        return JobRequest(**asked)

    def idempotency_key(self) -> str:
        """The same for a form sent twice as it was, another once anything in it has changed."""
        token = self.cleaned_data["token"]
        return f"page-{token}-{self.to_request().digest()[:32]}" if token else ""


class KeyForm(RefusableForm):
    """A new API key."""

    name = forms.CharField(required=False, max_length=80, strip=True)
    scopes = forms.MultipleChoiceField(required=False, choices=ApiKey.Scope.choices)


class MarkForm(RefusableForm):
    """The workspace's visible mark; sizes are in percent, as people say them."""

    is_on = forms.BooleanField(required=False)
    text = forms.CharField(required=False, max_length=200)
    picture = forms.FileField(required=False, allow_empty_file=True)
    without_picture = forms.BooleanField(required=False)
    position = forms.CharField(required=False, initial=USUAL.position)
    size = forms.FloatField(initial=100 * USUAL.size)
    opacity = forms.FloatField(initial=100 * USUAL.opacity)
    drifts = forms.BooleanField(required=False)

    @staticmethod
    def initial_of(mark: VisibleMark | None) -> dict[str, Any]:
        """What the form starts from: the mark that is there, else the usual one."""
        found = mark or USUAL
        return {
            "is_on": found.is_on,
            "text": found.text,
            "position": found.position,
            "size": round(100 * found.size),
            "opacity": round(100 * found.opacity),
            "drifts": found.drifts,
        }

    def to_wish(self) -> MarkWish:
        """The mark that is asked for."""
        asked = self.cleaned_data
        return MarkWish(
            is_on=asked["is_on"],
            text=asked["text"],
            picture=asked["picture"],
            without_picture=asked["without_picture"],
            position=asked["position"],
            size=asked["size"] / 100,
            opacity=asked["opacity"] / 100,
            drifts=asked["drifts"],
        )


class GoodbyeForm(RefusableForm):
    """The password again, before something is deleted for good."""

    password = forms.CharField(required=False, max_length=128, strip=False)
