"""What a job would come to before it is submitted: the clip, the engine's work, the price, the wait."""

from __future__ import annotations

from dataclasses import dataclass

from billing.entitlements import Entitlements
from billing.renewals import available
from generation import catalog
from generation.catalog.schema import Preset
from generation.forecast.outlook import Outlook, outlook_of_newcomer
from generation.forecast.pace import Paces, Span
from generation.models import Job
from generation.outputs import orders
from generation.outputs.encoding import Form


@dataclass(frozen=True, slots=True)
class Clip:
    """A length of moving picture: pixels, frames, and frames a second."""

    width: int
    height: int
    frames: int
    fps: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return round(self.frames / self.fps, 3)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What was asked for with every default taken, what is made and delivered, what it costs, when it is done."""

    model: str
    mode: str
    tier: str
    preset: Preset | None
    size: str
    seconds: float
    """As asked; `clip.seconds` is what is delivered."""
    engine: Clip
    """What the engine makes: the nearest that it can; what is over is cropped and trimmed."""
    clip: Clip
    """What is delivered."""
    form: Form
    steps: int | None
    guidance: float | None
    credits: int
    credits_available: int | None
    """What the workspace could spend now; None where its jobs cost nothing."""
    engine_seconds: Span
    """The engine's time for it, by what was measured here, else by the catalog."""
    outlook: Outlook
    """Its place in the line and when it would be done; without them where it would not join its lane now."""


def of(job: Job, plan: Entitlements) -> Estimate:
    """The estimate for a job that is complete and not saved."""
    model = catalog.models()[job.model]
    paces, clip = Paces.of_models([job.model]), orders.delivered(job)
    return Estimate(
        model=job.model,
        mode=job.mode,
        tier=job.tier,
        preset=model.preset(job.preset),
        size=job.size,
        seconds=job.seconds,
        engine=Clip(job.engine_width, job.engine_height, job.engine_frames, job.fps),
        clip=Clip(clip.width, clip.height, clip.frames, clip.fps),
        form=orders.form_of(job),
        steps=job.steps,
        guidance=job.guidance,
        credits=job.credits,
        credits_available=available(job.workspace_id, plan) if plan.is_metered else None,
        engine_seconds=paces.engine(job),
        outlook=outlook_of_newcomer(job, plan, paces),
    )
