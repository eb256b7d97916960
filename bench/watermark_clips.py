"""Clips to try the invisible watermark on: photographs and generated pictures in motion, and drawn ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from generation.engines.base import EngineRequest
from generation.engines.pictures import framed_picture
from generation.engines.preview.engine import prepare, render
from generation.engines.preview.picture import open_picture

Frame: TypeAlias = NDArray[np.uint8]
COFFEE = Path(__file__).parents[1] / "platform/mutoscope/demo/coffee.png"
SIZES = [(832, 480), (1280, 720), (704, 480), (480, 832), (1024, 576), (768, 512), (832, 480), (720, 1280)]
MOVES = ["push in", "pan left", "handheld", "tilt up", "orbit left", "pull out", "crane up", "dolly zoom"]


@dataclass(frozen=True, slots=True)
class Clip:
    """`draw` makes all of its frames, RGB, height × width × 3."""

    name: str
    width: int
    height: int
    fps: int
    frames: int
    draw: Callable[[Clip], Iterator[Frame]]
    series: int = 0


def clips(pictures: Sequence[Path], folder: Path, series: int = 0) -> list[Clip]:
    """44 clips; the generated pictures are written to `folder`, those given take the place of the first.

    Another series is of other sizes, moves and drawings. The watermark was tuned on series 0.
    """
    drawn = [_written(folder, name, draw, series) for name, draw in _PICTURES.items()]
    stills = [*pictures, *drawn] if series else [COFFEE, *pictures, *drawn]
    sizes = [SIZES[(index + 3 * series) % len(SIZES)] for index in range(len(SIZES))]
    moving = []
    for index in range(28):
        still = stills[index % len(stills)]
        move = MOVES[(index + index // len(stills) + 5 * series) % len(MOVES)]
        width, height = sizes[index % len(sizes)]
        moving.append(Clip(f"{still.stem}, {move}", width, height, 24, 36, _moved(still, move), series))
    return moving + [
        Clip(name, *sizes[index % len(sizes)], 16 if index % 3 == 0 else 24, 36, draw, series)
        for index, (name, draw) in enumerate(_drawn(stills).items())
    ]


def _moved(still: Path, move: str) -> Callable[[Clip], Iterator[Frame]]:
    def draw(clip: Clip) -> Iterator[Frame]:
        request = EngineRequest(
            "i2v", move, clip.width, clip.height, frames=clip.frames, fps=clip.fps, seed=7, image=still
        )
        yield from (
            frame.copy() for frame in render(prepare(request, open_picture(still, clip.width, clip.height)))
        )

    return draw


def _drawn(stills: Sequence[Path]) -> dict[str, Callable[[Clip], Iterator[Frame]]]:
    photo = stills[0]
    return {
        "page of text, still": lambda clip: _still(clip, _text(clip.width, clip.height, clip.series)),
        "text, scrolling": lambda clip: _scrolled(clip, _text(clip.width, clip.height * 2, clip.series), 3),
        "gradient, still": lambda clip: _still(clip, _gradient(clip.width, clip.height)),
        "film grain": lambda clip: _grain(clip, photo, 12),
        "photograph, still": lambda clip: _still(clip, _framed(clip, photo)),
        "dark": lambda clip: _lit(clip, photo, 0.18, 0.18),
        "fade from black": lambda clip: _lit(clip, photo, 0.0, 1.0),
        "cartoon": _cartoon,
        "cartoon, white ground": lambda clip: _cartoon(clip, ground=250),
        "fast pan": lambda clip: _scrolled(clip, _leaves(clip.width, clip.height * 3, clip.series), 24),
        "cuts": lambda clip: _cuts(clip, stills),
        "noise": _noise,
        "lights at night": _lights,
        "waves": _waves,
        "bright": lambda clip: _lit(clip, photo, 1.7, 1.7),
        "checkers": lambda clip: _scrolled(clip, _checkers(clip.width, clip.height * 2), 2),
    }


def _written(folder: Path, name: str, draw: Callable[[int, int, int], Frame], series: int) -> Path:
    path = folder / f"{name}.png"
    cv2.imwrite(str(path), cv2.cvtColor(draw(1280, 960, series), cv2.COLOR_RGB2BGR))
    return path


def _random(drawing: int, series: int) -> np.random.Generator:
    return np.random.default_rng(drawing + 100 * series)


def _clouds(width: int, height: int, series: int) -> Frame:
    random, total = _random(1, series), np.zeros((height, width, 3), np.float32)
    for level in range(1, 9):
        rough = random.normal(size=(2**level, 2**level, 3)).astype(np.float32)
        total += cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC) / 2 ** (level * 0.9)
    return np.clip(128 + 60 * total / total.std(), 0, 255).astype(np.uint8)


def _leaves(width: int, height: int, series: int) -> Frame:
    random, page = _random(2, series), np.zeros((height, width, 3), np.uint8)
    for _ in range(3000):
        at = (int(random.integers(width)), int(random.integers(height)))
        color = tuple(int(c) for c in random.integers(20, 236, 3))
        cv2.circle(page, at, int(4 / random.uniform(0.03, 1)), color, -1, cv2.LINE_AA)
    return page


def _town(width: int, height: int, series: int) -> Frame:
    random, page = _random(3, series), _gradient(width, height)
    for _ in range(60):
        left, top = int(random.integers(width)), int(random.integers(height // 4, height))
        wide = int(random.integers(30, 160))
        shade = int(random.integers(30, 180))
        cv2.rectangle(page, (left, top), (left + wide, height), (shade, shade, shade + 10), -1)
        for x in range(left + 6, left + wide - 8, 14):
            for y in range(top + 8, height, 18):
                glow = int(random.integers(60, 250))
                cv2.rectangle(page, (x, y), (x + 6, y + 9), (glow, glow, glow // 2), -1)
    return page


def _gradient(width: int, height: int) -> Frame:
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    planes = [60 + 150 * down, 90 + 100 * across, 200 - 120 * down * across]
    return np.stack(planes, axis=-1).astype(np.uint8)


def _text(width: int, height: int, series: int) -> Frame:
    random, page = _random(4, series), np.full((height, width, 3), 244, np.uint8)
    words = ["still", "motion", "frame", "reel", "light", "shutter", "lens", "picture", "slow", "turn", "hand"]
    for line, y in enumerate(range(40, height - 10, 26)):
        said = " ".join(words[int(at)] for at in random.integers(len(words), size=14))
        scale = 1.1 if line % 9 == 0 else 0.6
        cv2.putText(page, said, (24, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (24, 24, 28), 1, cv2.LINE_AA)
    return page


def _checkers(width: int, height: int) -> Frame:
    down, across = np.mgrid[0:height, 0:width]
    return np.repeat((((down // 32 + across // 32) % 2) * 150 + 50).astype(np.uint8)[..., None], 3, axis=2)


_PICTURES: dict[str, Callable[[int, int, int], Frame]] = {
    "clouds": _clouds, "leaves": _leaves, "town": _town,
    "gradient": lambda width, height, _: _gradient(width, height), "text": _text,
}  # fmt: skip


def _still(clip: Clip, picture: Frame) -> Iterator[Frame]:
    for _ in range(clip.frames):
        yield cv2.resize(picture, (clip.width, clip.height), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _framed(clip: Clip, photo: Path) -> Frame:
    return np.asarray(framed_picture(photo, clip.width, clip.height))


def _scrolled(clip: Clip, tall: Frame, step: int) -> Iterator[Frame]:
    for index in range(clip.frames):
        top = index * step % (tall.shape[0] - clip.height)
        yield np.ascontiguousarray(tall[top : top + clip.height])


def _lit(clip: Clip, photo: Path, first: float, last: float) -> Iterator[Frame]:
    picture = _framed(clip, photo).astype(np.float32)
    for share in np.linspace(first, last, clip.frames):
        yield np.clip(picture * share, 0, 255).astype(np.uint8)


def _grain(clip: Clip, photo: Path, level: float) -> Iterator[Frame]:
    random = _random(5, clip.series)
    for frame in _moved(photo, "push in")(clip):
        noise = random.normal(0, level, (clip.height, clip.width, 1))
        yield np.clip(frame + noise, 0, 255).astype(np.uint8)


def _noise(clip: Clip) -> Iterator[Frame]:
    random = _random(6, clip.series)
    for _ in range(clip.frames):
        rough = random.integers(60, 200, (clip.height // 4, clip.width // 4, 3)).astype(np.uint8)
        yield cv2.resize(rough, (clip.width, clip.height), interpolation=cv2.INTER_CUBIC)


def _cartoon(clip: Clip, ground: int = 180) -> Iterator[Frame]:
    colors = [(230, 70, 60), (60, 120, 220), (250, 210, 60), (70, 180, 110), (240, 150, 190)]
    for index in range(clip.frames):
        page = np.full((clip.height, clip.width, 3), (ground, ground, min(255, ground + 20)), np.uint8)
        for shape, color in enumerate(colors):
            x = int(clip.width * (0.15 + 0.17 * shape) + 40 * np.sin(index / 9 + shape))
            y = int(clip.height * (0.35 + 0.12 * (shape % 3)) + 30 * np.cos(index / 7 + shape))
            cv2.circle(page, (x, y), clip.height // 8, color, -1, cv2.LINE_AA)
            cv2.circle(page, (x, y), clip.height // 8, (20, 20, 20), 4, cv2.LINE_AA)
        cv2.rectangle(page, (0, int(clip.height * 0.85)), (clip.width, clip.height), (120, 160, 90), -1)
        yield page


def _lights(clip: Clip) -> Iterator[Frame]:
    random = _random(7, clip.series)
    places, speeds = random.uniform(0, 1, (40, 2)), random.normal(0, 0.004, (40, 2))
    for index in range(clip.frames):
        page = np.full((clip.height, clip.width, 3), (9, 10, 18), np.uint8)
        for light, (x, y) in enumerate((places + index * speeds) % 1):
            at = (int(x * clip.width), int(y * clip.height))
            cv2.circle(page, at, 3 + light % 9, (255, 220 - light, 120 + 2 * light), -1, cv2.LINE_AA)
        yield cv2.GaussianBlur(page, (0, 0), 2).astype(np.uint8)


def _waves(clip: Clip) -> Iterator[Frame]:
    down, across = np.mgrid[0 : clip.height, 0 : clip.width].astype(np.float32)
    for index in range(clip.frames):
        rise = np.sin(across / 23 + index / 4 + 2 * np.sin(down / 41)) + np.sin(down / 11 - index / 6)
        yield np.stack([60 + 20 * rise, 110 + 25 * rise, 150 + 30 * rise], axis=-1).astype(np.uint8)


def _cuts(clip: Clip, stills: Sequence[Path]) -> Iterator[Frame]:
    for index in range(clip.frames):
        yield _framed(clip, stills[index // 12 % len(stills)])
