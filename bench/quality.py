"""What the quality checks say of good clips and of broken ones: `python -m bench.quality [--pictures FOLDER]`.

The preview engine makes clips of several pictures with every camera move; each is then broken on purpose in each
of the ways that a clip can be. Prints the milliseconds a frame, the figures by kind (lowest, median, highest), and
how each kind was judged. The pictures are the demo's photograph and drawn ones, and those of the folder.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.__main__ import machine
from generation.engines.base import EngineRequest
from generation.engines.preview.engine import prepare, render
from generation.engines.preview.picture import open_picture
from generation.outputs.quality import Measured, asks_for_motion, judge
from generation.outputs.quality.meter import Meter

PHOTOGRAPH = Path(__file__).parents[1] / "platform/mutoscope/demo/coffee.png"
MOVES = [
    *("", "push in", "pull out", "zoom in", "pan left", "tilt up", "roll clockwise", "truck right", "crane up"),
    *("orbit left", "dolly zoom", "handheld", "very slow push in", "fast pan right, then tilt up", "static shot"),
    "locked off camera",
]
WIDTH, HEIGHT, FRAMES, FPS = 480, 272, 48, 24
FIGURES = [
    *("still", "longest_still", "dynamic_degree", "flicker", "coherence", "smoothness", "cuts", "first_frame"),
    *("identity", "sharpness", "black", "flat", "striped", "blank"),
]

Frames: TypeAlias = NDArray[np.uint8]
"""Frames × height × width × 3."""


# --- Ways in which clips break --------------------------------------------------------------------------------


def black(frames: Frames) -> Frames:
    return np.zeros_like(frames)


def black_from_the_middle(frames: Frames) -> Frames:
    broken = frames.copy()
    broken[len(broken) // 3 :] = 0
    return broken


def grey(frames: Frames) -> Frames:
    return np.full_like(frames, 127)


def frozen(frames: Frames) -> Frames:
    return np.repeat(frames[:1], len(frames), axis=0)


def frozen_after_a_jolt(frames: Frames) -> Frames:
    return np.concatenate([frames[:1], np.repeat(frames[-1:], len(frames) - 1, axis=0)])


def frozen_in_the_end(frames: Frames) -> Frames:
    half = len(frames) // 2
    return np.concatenate([frames[:half], np.repeat(frames[half : half + 1], len(frames) - half, axis=0)])


def flicker(frames: Frames) -> Frames:
    gain = np.where(np.arange(len(frames)) % 2, 1.12, 0.88)[:, None, None, None]
    return np.clip(frames * gain, 0, 255).astype(np.uint8)


def flicker_in_places(frames: Frames) -> Frames:
    rng = np.random.default_rng(1)
    gains = 1 + 0.3 * rng.standard_normal((len(frames), 5, 8)).astype(np.float32)
    broken = frames.copy()
    for frame, gain in zip(broken, gains, strict=True):
        frame[:] = np.clip(frame * cv2.resize(gain, (WIDTH, HEIGHT))[..., None], 0, 255)
    return broken


def noise(frames: Frames) -> Frames:
    return np.random.default_rng(1).integers(0, 256, frames.shape, np.uint8)


def blotches(frames: Frames) -> Frames:
    """As a video model without its weights makes them: soft noise, anew in every frame."""
    small = np.random.default_rng(1).integers(0, 256, (len(frames), 17, 30, 3), np.uint8)
    return np.stack([cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) for frame in small])


def half_decoded(frames: Frames) -> Frames:
    broken = frames.copy()
    broken[:, HEIGHT * 2 // 5 :] = 128
    return broken


def rows(frames: Frames) -> Frames:
    return np.broadcast_to(frames[:, :, :1], frames.shape).copy()


def columns(frames: Frames) -> Frames:
    return np.broadcast_to(frames[:, :1], frames.shape).copy()


def other_picture(frames: Frames) -> Frames:
    """Of something else: upside down, mirrored and with its colours changed round."""
    return np.ascontiguousarray(255 - frames[:, ::-1, ::-1, [1, 2, 0]])


def cut(frames: Frames) -> Frames:
    half = len(frames) // 2
    return np.concatenate([frames[:half], other_picture(frames[half:])])


BREAKS: dict[Callable[[Frames], Frames], str] = {
    black: "broken",
    black_from_the_middle: "broken",
    grey: "broken",
    frozen: "broken",
    frozen_after_a_jolt: "broken",
    rows: "broken",
    columns: "broken",
    frozen_in_the_end: "doubtful",
    flicker: "doubtful",
    flicker_in_places: "doubtful",
    noise: "doubtful",
    blotches: "doubtful",
    half_decoded: "doubtful",
    other_picture: "doubtful",
    cut: "doubtful",
}
"""How each must be judged at least; one that is due to be doubtful and is not seen is a miss, and no failure."""


# --- Clips ------------------------------------------------------------------------------------------------------


def drawn(folder: Path) -> Iterator[Path]:
    """Pictures that try the checks: a studio shot on white, a night, a sky, blinds."""
    rng = np.random.default_rng(3)
    texture = cv2.GaussianBlur(rng.normal(127, 60, (540, 960, 3)).astype(np.float32), (0, 0), 3)
    texture = np.clip(127 + 4 * (texture - 127), 0, 255).astype(np.uint8)
    white, night = np.full((540, 960, 3), 255, np.uint8), np.zeros((540, 960, 3), np.uint8)
    white[170:400, 360:600] = texture[:230, :240]
    for _ in range(90):
        place = (int(rng.integers(960)), int(rng.integers(540)))
        cv2.circle(night, place, int(rng.integers(6, 30)), [int(value) for value in rng.integers(80, 256, 3)], -1)
    ramp = np.linspace(0, 1, 540, dtype=np.float32)[:, None, None]
    sky = np.broadcast_to((1 - ramp) * [60, 110, 200] + ramp * [200, 220, 240], (540, 960, 3)).astype(np.uint8)
    sky = sky.copy()
    sky[430:] = texture[430:] // 2
    blinds = np.full((540, 960, 3), 235, np.uint8)
    blinds[np.arange(540) // 20 % 2 == 0] = 90
    blinds[200:380, 300:700] = texture[200:380, 300:700]
    for name, picture in {
        "studio": white,
        "night": night,
        "sky": sky,
        "blinds": blinds,
        "texture": texture,
    }.items():
        Image.fromarray(picture).save(folder / f"{name}.png")
        yield folder / f"{name}.png"


def clip_of(picture: Path, prompt: str) -> Frames:
    request = EngineRequest("i2v", prompt, WIDTH, HEIGHT, FRAMES, FPS, seed=7, image=picture)
    take = prepare(request, open_picture(picture, WIDTH, HEIGHT))
    return np.stack([frame.copy() for frame in render(take)])


def measured(frames: Frames, picture: Path) -> Measured:
    meter = Meter(WIDTH, HEIGHT, FPS)
    for frame in frames:
        meter.see(frame)
    return meter.result(first=picture)


def main() -> None:
    """Measure and print; ends with 1 where a good clip was not judged good, or a broken one not broken."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--pictures", type=Path, help="a folder of pictures to try besides")
    asked.add_argument("--each", action="store_true", help="print the figures of every good clip")
    options = asked.parse_args()
    found: dict[str, list[Measured]] = defaultdict(list)
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    wrong, missed = [], []
    with tempfile.TemporaryDirectory() as folder:
        pictures = [PHOTOGRAPH, *drawn(Path(folder))]
        pictures += sorted(options.pictures.iterdir()) if options.pictures else []
        print(f"{machine()}\n{len(pictures)} pictures × {len(MOVES)} moves, {WIDTH} × {HEIGHT} × {FRAMES} frames")
        for number, picture in enumerate(pictures):
            for at, prompt in enumerate(MOVES):
                frames = clip_of(picture, prompt)
                cases: list[tuple[str, Frames, str]] = [("good", frames, "good")]
                if at % 8 == number % 8 and asks_for_motion(prompt):
                    cases += [(way.__name__, way(frames), due) for way, due in BREAKS.items()]
                for kind, made, due in cases:
                    facts = measured(made, picture)
                    said = judge(facts, moves=asks_for_motion(prompt))
                    found[kind].append(facts)
                    verdicts[kind][f"{said.verdict}: {', '.join(said.codes)}" if said.codes else "good"] += 1
                    told = f"{kind} of {picture.name}, {prompt!r}: {said.verdict} {', '.join(said.codes)}"
                    if (due == "good") != (said.verdict == "good") or (due == "broken" != said.verdict):
                        (missed if due == "doubtful" else wrong).append(told)
                    if options.each and kind == "good":
                        print(
                            picture.name, repr(prompt), {n: v for n, v in facts.as_json().items() if n in FIGURES}
                        )
    print_figures(found)
    for kind, counted in verdicts.items():
        print(f"{kind:24} {'; '.join(f'{count} × {said}' for said, count in counted.most_common())}")
    for what, clips in (("judged otherwise than they must be", wrong), ("doubtful, but not seen to be", missed)):
        print(f"\n{len(clips)} of {sum(map(len, found.values()))} were {what}", *clips, sep="\n")
    print_speed()
    sys.exit(bool(wrong))


def print_figures(found: dict[str, list[Measured]]) -> None:
    """Lowest, median and highest of each figure, by kind."""
    print("\n| kind | clips | " + " | ".join(FIGURES) + " |\n|" + "---|" * (len(FIGURES) + 2))
    for kind, clips in found.items():
        cells = []
        for name in FIGURES:
            values = [value for clip in clips if (value := clip.as_json()[name]) is not None]
            cells.append(
                f"{min(values):.3g} / {statistics.median(values):.3g} / {max(values):.3g}" if values else "–"
            )
        print(f"| {kind} | {len(clips)} | " + " | ".join(cells) + " |")
    print()


def print_speed() -> None:
    """Milliseconds a frame, of the processor, on one thread."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    for width, height in ((480, 272), (1280, 720), (1920, 1080)):
        picture = cv2.resize(np.asarray(Image.open(PHOTOGRAPH).convert("RGB")), (width, height))
        frames = [np.roll(picture, 3 * at, axis=1) for at in range(24)]
        meter = Meter(width, height, 24)
        began, worked = time.perf_counter(), time.process_time()
        for at in range(96):
            meter.see(frames[at % 24])
        wall, work = time.perf_counter() - began, time.process_time() - worked
        began = time.perf_counter()
        meter.result(first=PHOTOGRAPH)
        ended = time.perf_counter() - began
        a_frame = f"{wall / 96 * 1e3:.1f} ms a frame (processor {work / 96 * 1e3:.1f})"
        print(f"{width} × {height}: {a_frame}, the result {ended * 1e3:.0f} ms")
    cv2.setNumThreads(threads)


if __name__ == "__main__":
    main()
