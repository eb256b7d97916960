"""A plan and its limits, as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from billing.entitlements import Entitlements
from generation.limits import number
from generation.quotas import Quota

NEARLY, ALL = 80, 100
"""Percent from which a meter is amber, and red."""
SOON = timedelta(days=7)
"""Credits that are gone within this time are pointed out."""
_LABELS = {
    "seconds_per_day": ("Video today", "s"),
    "seconds_per_month": ("Video this month", "s"),
    "credits_per_month": ("Credits of this month", ""),
    "storage_mib": ("Library", "MiB"),
    "queued_jobs": ("Jobs that wait", ""),
    "concurrent_jobs": ("Jobs at once", ""),
}
_CALM = {"queued_jobs", "concurrent_jobs"}
"""Being at these limits is nothing to worry about: jobs go on by themselves."""


@dataclass(frozen=True, slots=True)
class Meter:
    """How a limit stands. `percent` is at most 100; `level` is near, full or nothing."""

    label: str
    used: str
    allowed: str
    percent: int
    level: str
    resets_at: datetime | None
    is_agreed: bool

    @property
    def has_limit(self) -> bool:
        return bool(self.allowed)


@dataclass(frozen=True, slots=True)
class Fact:
    """A limit that nothing is counted against."""

    label: str
    value: str
    is_agreed: bool


def meter(quota: Quota, plan: Entitlements) -> Meter:
    """The quota in words."""
    label, unit = _LABELS[quota.limit]
    percent = min(quota.percent, 100)
    level = "" if quota.limit in _CALM else "full" if percent >= ALL else "near" if percent >= NEARLY else ""
    return Meter(
        label=label,
        used=_amount(quota.used, unit),
        allowed="" if quota.allowed is None else _amount(quota.allowed, unit),
        percent=percent,
        level=level,
        resets_at=quota.resets_at if quota.allowed is not None else None,
        is_agreed=quota.limit in plan.overridden,
    )


def facts(plan: Entitlements, names: Mapping[str, str]) -> list[Fact]:
    """The other limits that jobs meet; `names` are the models', by slug."""
    said = {
        "tiers": ("Tiers", ", ".join(plan.tiers)),
        "allowed_models": ("Models", ", ".join(names.get(slug, slug) for slug in plan.allowed_models) or "all"),
        "allowed_presets": ("Presets", ", ".join(plan.allowed_presets) or "all"),
        "max_pixels": ("Largest clip", _or_none(plan.max_pixels, "pixels")),
        "max_seconds": ("Longest clip", _or_none(plan.max_seconds, "s")),
        "output_formats": ("Formats", ", ".join(plan.output_formats) or "all"),
        "watermark": ("Visible mark", "on every clip" if plan.watermark else "none of ours"),
        "retention_days": ("Clips are kept", f"{plan.retention_days} days" if plan.retention_days else "for good"),
        "requests_per_minute": ("API calls a minute", _or_none(plan.requests_per_minute, "")),
    }
    return [Fact(label, value, limit in plan.overridden) for limit, (label, value) in said.items()]


def _or_none(value: float | None, unit: str) -> str:
    return "no limit" if value is None else f"{number(value)} {unit}".strip()


def _amount(value: float, unit: str) -> str:
    if unit == "MiB" and value >= 1024:
        value, unit = value / 1024, "GiB"
    return f"{number(value)} {unit}".strip()
