"""Rows of `bench.gpu` as a table for people: `python -m bench.table FILE…` prints it of files that it has kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the tutorial that the platform goes back to expects of a clip at 720p, on an H100, in seconds."""

    seconds: str
    source: str
    """Its line."""


BRIEF = {
    "ltx-2b": Estimate("20–30", "LTX-Video I2V, H100 PCIe, ~24GB, 30 steps, ~20-30s"),
    "wan-a14b-720p": Estimate("45–60", "Wan 2.2 I2V 14B, H100 SXM5, ~65-80GB, 40 steps, ~45-60s"),
    "cogvideox-5b": Estimate("60–90", "CogVideoX-I2V, H100 PCIe, ~28GB, 50 steps, ~60-90s"),
    "svd": Estimate("15–20", "SVD 1.1, 720p Gen (H100 est.) ~15-20s"),
}
"""By model. There is none for LTX 13B, Wan at 480p and HunyuanVideo without an avatar."""
COLUMNS = (
    ("words", "words_seconds", ".2f"),
    ("prepare", "prepare_seconds", ".2f"),
    ("denoise", "denoise_seconds", ".1f"),
    ("decode", "decode_seconds", ".2f"),
    ("hand-over", "hand_over_seconds", ".2f"),
    ("**clip s**", "clip_seconds", ".1f"),
    ("of stock", "faster", ".2f"),
    ("s a step", "step_seconds", ".3f"),
    ("of the bf16 peak", "share_of_peak", ".0%"),
    ("peak GiB", "peak_gib", ".1f"),
)


def print_table(about: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """In Markdown, with what the figures are of before it."""
    print("\n" + "; ".join(f"{name} {_short(value)}" for name, value in about.items()))
    print()
    titles = ["model", "clip", "variant", *(title for title, _, _ in COLUMNS), "the brief's s"]
    print("| " + " | ".join(titles) + " |")
    print("|" + "---|" * len(titles))
    for row in rows:
        print("| " + " | ".join(_cells(row)) + " |")


def _cells(row: Mapping[str, Any]) -> list[str]:
    why = row.get("failed") or row.get("skipped")
    if why:
        return [row["model"], "", row["variant"], f"{why}", *[""] * len(COLUMNS)]
    clip = f"{row['width']} × {row['height']} × {row['frames']}, {row['steps']} steps"
    if row["measured"] != row["clip"]:
        clip += f" (reckoned from the {row['measured']})"
    elif row["steps_measured"] < row["steps"]:
        clip += f" ({row['steps_measured']} measured)"
    how = ", ".join(str(row[key]) for key in ("plan", "attention", "quantised") if row.get(key))
    variant = f"{row['variant']}: {how}{', compiled' if row['compiled'] else ''}"
    estimate = BRIEF.get(row["model"]) if row["clip"] == "standard" else None
    figures = [format(row[key], form) if key in row else "–" for _, key, form in COLUMNS]
    return [row["model"], clip, variant, *figures, estimate.seconds if estimate else "–"]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> None:
    for name in sys.argv[1:]:
        about, *rows = map(json.loads, Path(name).read_text().splitlines())
        print_table(about["machine"], rows)


if __name__ == "__main__":
    main()
