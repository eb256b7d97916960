"""The preview engine: a request in, the frames of a camera move over the still out."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path as File
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from generation.engines import checkpoints as checkpoint_files
from generation.engines.base import Checkpoints, EngineError, EngineRequest, EngineSetup, FrameSink, OnStep
from generation.engines.preview.camera import (
    Coordinates,
    Points,
    Rectangle,
    Scene,
    View,
    fit,
    land,
    relief_for,
)
from generation.engines.preview.depth import estimate_disparity
from generation.engines.preview.moves import Shot, read_shot
from generation.engines.preview.path import Path, Room, plan_path
from generation.engines.preview.picture import cover, cut_plate, open_picture

VERSION = "1"
"""Goes up whenever the same request would give other frames."""

MAX_THREADS = 4
"""A frame is too little work to share among more; the encoder needs the other cores."""

_STEP = 8
"""Pixels between the nodes at which the camera's rays are solved; between them the map is interpolated."""


@dataclass(frozen=True, slots=True)
class Take:
    """All that is needed to render a clip: how the prompt was read, the path, the relief and the plate."""

    shot: Shot
    path: Path
    scene: Scene
    view: View
    pre_zoom: float
    plate: NDArray[np.uint8]
    plate_bounds: Rectangle


class PreviewEngine:
    """Renders the camera move that a prompt asks for from the still alone.

    The same request gives the same bytes, whatever the number of threads, with the same numpy, OpenCV and
    kind of processor; the recipe names the versions.
    """

    def load(self, setup: EngineSetup) -> None:
        """Set how many threads OpenCV may use in this process; there is no model to bring into memory."""
        cv2.setNumThreads(min(MAX_THREADS, os.cpu_count() or 1))

    def warm_up(self) -> None:
        """Let OpenCV choose its code paths and start its threads, by rendering a frame of nothing."""
        picture = np.full((36, 64, 3), 127, np.uint8)
        request = EngineRequest(mode="i2v", prompt="push in", width=64, height=36, frames=1, fps=24, seed=0)
        list(render(prepare(request, picture)))

    def generate(
        self, request: EngineRequest, frames: FrameSink, on_step: OnStep, checkpoints: Checkpoints
    ) -> Mapping[str, Any]:
        """Render the clip; a step is a frame. Raises `EngineError` when mode or image are unfit.

        A checkpoint holds the number of the step and nothing else: the frames before it are rendered again, for
        they are a pure function of the request. Measured at 720p on one machine in one run, a frame took 26 ms to
        render, but 123 ms to pack without loss and unpack, beside 1.4 MB to store and to fetch.
        """
        spared = _steps_spared(request)
        take = prepare(request, open_picture(_image_of(request), request.width, request.height))
        for done, frame in enumerate(render(take), start=1):
            frames.write(frame)
            if done <= spared:
                continue
            on_step(done, request.frames)
            if done < request.frames and checkpoints.due():
                checkpoints.save(done, partial(_leave_checkpoint, request, done))
        return _recipe(request, take)

    def unload(self) -> None:
        """Nothing is kept between requests."""


def prepare(request: EngineRequest, picture: NDArray[np.uint8]) -> Take:
    """Read the prompt, guess the relief of the picture (RGB), and plan a path that stays inside of it."""
    view = View(request.width, request.height, float(max(request.width, request.height)))
    shot = read_shot(request.prompt, request.negative_prompt)
    disparity = estimate_disparity(picture)
    bounds = cover(picture, request.width, request.height, view.focal, _centre_of_interest(disparity))
    path = plan_path(shot, request.frames, request.fps, request.seed, _room(view, bounds))
    scene = relief_for(Scene(disparity, bounds), path, view)
    path, pre_zoom = fit(scene, path, view)
    wanted = _seen(scene, path, view, pre_zoom)
    zooms = path.zoom * pre_zoom / (1.0 - path.depth)
    usual_zoom = math.sqrt(float(zooms.min()) * float(zooms.max()))
    plate, plate_bounds = cut_plate(picture, bounds, wanted, view.focal, usual_zoom)
    return Take(shot, path, scene, view, pre_zoom, plate, plate_bounds)


def render(take: Take) -> Iterator[NDArray[np.uint8]]:
    """The frames, uint8, height × width × 3, one by one in one buffer that the next frame overwrites."""
    frame = np.empty((take.view.height, take.view.width, 3), np.uint8)
    for at in range(len(take.path.x)):
        columns, rows = plate_map(take, at)
        looked_up = cv2.remap(take.plate, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        cv2.cvtColor(looked_up, cv2.COLOR_RGBA2RGB, dst=frame)
        yield frame


def plate_map(take: Take, at: int) -> Points:
    """For each pixel of frame `at`, the column and the row of the plate that it shows."""
    view = take.view
    # One cell of nodes more on every side, so that no pixel of the frame lies outside of the nodes.
    nodes_across, nodes_down = -(-view.width // _STEP) + 2, -(-view.height // _STEP) + 2
    across = np.arange(nodes_across, dtype=np.float32) * _STEP - (_STEP + 1) / 2
    down = np.arange(nodes_down, dtype=np.float32) * _STEP - (_STEP + 1) / 2
    rays = view.rays(*np.meshgrid(across, down))
    x, y = land(take.scene, take.path, slice(at, at + 1), take.pre_zoom, rays)
    columns, rows = take.plate_bounds.pixels(x, y, take.plate.shape)
    return _between_nodes(columns, view), _between_nodes(rows, view)


def _between_nodes(nodes: Coordinates, view: View) -> Coordinates:
    height, width = nodes.shape
    full = np.asarray(cv2.resize(nodes, (width * _STEP, height * _STEP)), np.float32)
    return full[_STEP : _STEP + view.height, _STEP : _STEP + view.width]


def _steps_spared(request: EngineRequest) -> int:
    if request.checkpoint is None:
        return 0
    state = checkpoint_files.read(request.checkpoint, checkpoint_files.facts_of(request, "preview", VERSION))
    if state != str(request.checkpoint.step).encode():
        raise checkpoint_files.unreadable("it was made at another step")
    return request.checkpoint.step


def _leave_checkpoint(request: EngineRequest, step: int, file: File) -> None:
    checkpoint_files.write(file, checkpoint_files.facts_of(request, "preview", VERSION), str(step).encode())


def _image_of(request: EngineRequest) -> File:
    if request.mode != "i2v":
        raise EngineError("mode_unsupported", f"mode must be i2v, but is {request.mode}", "user")
    if request.image is None:
        raise EngineError("image_missing", "mode i2v needs an image, but there is none", "user")
    return request.image


def _centre_of_interest(disparity: NDArray[np.float32]) -> tuple[float, float]:
    """Where the frame is cut from a picture of another shape, as shares of its width and height."""
    # What stands out from its row is the subject; half of the way to it keeps a wrong guess harmless.
    weight = disparity - disparity.min(axis=1, keepdims=True)
    total = float(weight.sum())
    if total < 1e-6:
        return 0.5, 0.5
    height, width = disparity.shape
    x = float((weight.sum(axis=0) @ ((np.arange(width) + 0.5) / width)) / total)
    y = float((weight.sum(axis=1) @ ((np.arange(height) + 0.5) / height)) / total)
    return (0.5 + x) / 2, (0.5 + y) / 2


def _room(view: View, bounds: Rectangle) -> Room:
    width, height = view.extent
    return Room(
        width,
        height,
        left=-bounds.left - width / 2,
        right=bounds.right - width / 2,
        up=-bounds.top - height / 2,
        down=bounds.bottom - height / 2,
    )


def _seen(scene: Scene, path: Path, view: View, pre_zoom: float) -> Rectangle:
    """What part of the picture the clip shows; the relief never folds, so the frame's edges bound it."""
    x, y = land(scene, path, slice(None), pre_zoom, view.edge(max(view.width, view.height) // 8))
    return Rectangle(float(x.min()), float(y.min()), float(x.max()), float(y.max()))


def _recipe(request: EngineRequest, take: Take) -> dict[str, Any]:
    """What made the clip, in plain JSON types."""
    return {
        "engine": "preview",
        "version": VERSION,
        "mode": request.mode,
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "seed": request.seed,
        "size": [request.width, request.height],
        "frames": request.frames,
        "fps": request.fps,
        "moves": [[asdict(move) | {"kind": move.kind.value} for move in step] for step in take.shot.steps],
        "forbidden": [asdict(ban) | {"kind": ban.kind.value} for ban in take.shot.bans],
        "default_move": take.shot.default,
        "pre_zoom": round(take.pre_zoom, 4),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }
