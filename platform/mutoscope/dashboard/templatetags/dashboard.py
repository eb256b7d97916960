"""Words and small sums for the templates."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from django import template
from django.utils.dateparse import parse_datetime

from assets.models import Asset, Rendition
from assets.storage import media
from generation.limits import number
from generation.models import Job, JobEvent
from mutoscope.dashboard import words

register = template.Library()
register.filter(words.in_credits)

_STATES = {
    Job.State.SCHEDULED: "Waiting for its hour",
    Job.State.QUEUED: "Waiting for its turn",
    Job.State.RUNNING: "Animating",
    Job.State.FINISHING: "Finishing the clip",
    Job.State.SUCCEEDED: "Succeeded",
    Job.State.FAILED: "Failed",
    Job.State.CANCELLED: "Cancelled",
}
_EVENTS = {
    JobEvent.Kind.SCHEDULED: "Asked for",
    JobEvent.Kind.QUEUED: "Asked for",
    JobEvent.Kind.STARTED: "A worker began",
    JobEvent.Kind.FINISHING: "Every frame made",
    JobEvent.Kind.SUCCEEDED: "The clip is here",
    JobEvent.Kind.FAILED: "Failed",
    JobEvent.Kind.CANCELLED: "Cancelled",
    JobEvent.Kind.RETURNED: "Back in the queue",
}
_SOURCES = {"trainedAlgorithmicMedia": "Made by AI", "algorithmicMedia": "Computed, without AI"}


@register.filter
def state_words(state: str) -> str:
    """A job's state as people say it."""
    return _STATES[Job.State(state)]


@register.filter
def event_words(kind: str) -> str:
    """What happened to a job, as people say it."""
    return _EVENTS[JobEvent.Kind(kind)]


@register.filter
def source_words(source_type: str) -> str:
    """What content credentials say about how a clip came to be, as people say it."""
    return _SOURCES.get(source_type, source_type)


@register.filter
def moment(iso: str) -> datetime | None:
    """A point in time from JSON; None where it is none."""
    return parse_datetime(iso) if iso else None


@register.filter
def short(number: float | None) -> str:
    """A number without trailing zeros: 4, 2.5."""
    return "" if number is None else f"{number:g}"


@register.filter
def amount(value: float) -> str:
    """A number to read: 1,200, 2.5."""
    return number(value)


@register.filter
def change(value: int) -> str:
    """A number with its sign: +30, −30; a dash for none."""
    return f"{'+' if value > 0 else '−'}{abs(value):,}" if value else "–"


@register.filter
def money(cents: int, currency: str) -> str:
    """Hundredths of a currency, such as: 19.00 USD."""
    return f"{cents / 100:,.2f} {currency.upper()}"


@register.filter
def percent(share: float) -> int:
    """Whole percent of a share between 0 and 1."""
    return round(share * 100)


@register.filter
def small(asset: Asset) -> str:
    """The address of the picture to show for an asset; "" where it has none."""
    if asset.thumbnail:
        return asset.thumbnail.url
    return asset.file.url if asset.kind == Asset.Kind.IMAGE else ""


@register.filter
def plays(clip: Asset) -> bool:
    """Whether browsers have a player for the clip. Not all play each codec: the page has something instead."""
    return clip.media_type in {"video/mp4", "video/webm"}


@register.filter
def is_picture(clip: Asset) -> bool:
    """Whether the clip is a picture that moves by itself."""
    return clip.media_type.startswith("image/")


@register.filter
def moving(clip: Asset) -> str:
    """The address of a moving picture of the clip: itself, else its preview, else what stands still."""
    if is_picture(clip):
        return clip.file.url
    return clip.preview.url if clip.preview else small(clip)


@register.filter
def suffix(asset: Asset) -> str:
    """The ending of the asset's file, such as .mp4."""
    return Path(str(asset.file)).suffix


@register.filter
def frame_seconds(fps: float | None) -> str:
    """How long a frame is to be seen, in seconds."""
    return f"{1 / fps:.4f}" if fps else "0.04"


@register.filter
def title_of(job: Job) -> str:
    """What a job is called: by its prompt, else by its picture."""
    if job.prompt:
        return job.prompt
    return job.picture.name if job.picture else "Untitled clip"


@register.filter
def of(mapping: dict[str, str], key: str) -> str:
    """The value under a key that a template holds in a variable; the key itself where there is none."""
    return mapping.get(key, key)


@register.filter
def saving_link(kept: Asset | Rendition) -> str:
    """Where the file is fetched for saving, under its own name, wherever the storage is."""
    return media().download_url(kept.file.name, kept.file_name)
