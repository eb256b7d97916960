"""What a clip's other forms are made from, and what may be wished of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from assets.models import Asset
from generation.errors import InvalidJob
from generation.models import Job
from generation.outputs import orders
from generation.outputs.encoding import MASTER, Form, Source, preset_of, profile_of, shape_of

LONGEST = 180.0
"""Seconds of a clip at most that is had in other forms: a film would keep the media process busy for hours."""
_USUAL_FPS = 25
"""Frames a second of clips that do not say."""


class NotAClip(InvalidJob):
    """Only clips can be had in other forms, and only short ones."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A form as it is asked for. None is as the clip's own file has it, as far as the format goes."""

    format: str = MASTER.format
    quality: str = MASTER.quality
    fps: int | None = None
    width: int | None = None
    loop: str | None = None


@dataclass(frozen=True, slots=True)
class Original:
    """The frames that other forms are made from, and the form that the clip's own file was asked for in."""

    source: Source
    own: Form

    @classmethod
    def of(cls, clip: Asset) -> Original:
        """By the job that made the clip: its file may be smaller, faster or longer than its master."""
        job = Job.objects.filter(output=clip).first()
        if job is not None:
            return cls(orders.source_of(job), orders.form_of(job))
        fps = max(1, round(clip.fps or _USUAL_FPS))
        frames = max(1, round((clip.seconds or 0) * fps))
        return cls(Source(clip.width or 0, clip.height or 0, fps, frames), MASTER)

    def check_length(self) -> None:
        """Raises `NotAClip` for a clip that is too long."""
        if self.source.seconds > LONGEST:
            raise NotAClip(
                f"clips of {LONGEST:g} s at most can be had in other forms, "
                f"but this one has {self.source.seconds:.0f} s"
            )

    def complete(self, wish: Wish) -> Form:
        """The form that is wished, without what goes without saying: the same is asked for in the same words.

        Raises `ImpossibleForm`, or `NotAClip` for a clip that is too long.
        """
        self.check_length()
        bare = Form(wish.format, wish.quality, loop=self.own.loop if wish.loop is None else wish.loop)
        usual = shape_of(self.source, bare)
        fps = self._own_rate(bare) if wish.fps is None else wish.fps
        shape_of(self.source, replace(bare, fps=fps, width=wish.width))
        return replace(
            bare,
            fps=None if fps == usual.fps else fps,
            width=None if wish.width == usual.width else wish.width,
        )

    def _own_rate(self, form: Form) -> int | None:
        """The rate that the clip was interpolated to, where format and quality leave it as it is."""
        if self.own.fps is None or preset_of(form).max_fps is not None:
            return None
        return self.own.fps if self.own.fps <= profile_of(form).max_fps else None
