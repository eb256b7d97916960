"""The demonstration's client: it knows the platform by its HTTP API alone."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from mutoscope.media import MediaError, is_faststart, probe

MODEL, SIZE, SECONDS, FPS = "preview", "720p-16-9", 4.0, 24
PATIENCE = 120.0
"""Seconds the clip may take."""


class DemoError(Exception):
    """The demonstration did not work out; the message says what to do."""


def animate(url: str, token: str, *, image: Path, prompt: str, folder: Path, check: Callable[[], None]) -> Path:
    """Upload, submit, follow, download, check. Returns the clip's path. Raises `DemoError`."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=30) as client:
        try:
            with image.open("rb") as file:
                picture = _answer(client.post("/assets", files={"file": (image.name, file)}))
            print(f"Uploaded {image.name}: {picture['width']} × {picture['height']}, {picture['uploaded_type']}")
            job = _answer(
                client.post(
                    "/jobs",
                    json={
                        "model": MODEL, "picture": picture["id"], "prompt": prompt,
                        "size": SIZE, "seconds": SECONDS, "fps": FPS,
                    },
                )
            )  # fmt: skip
            print(
                f"Submitted to {MODEL}: “{prompt}”, {SECONDS:g} s at {job['width']} × {job['height']}, {FPS} fps"
            )
            began, bar = time.monotonic(), _Bar()
            for job in _states(client, job["id"]):  # noqa: B020  the job as it stands now
                check()
                bar.draw(job["progress"], job["state"])
                if time.monotonic() - began > PATIENCE:
                    raise DemoError(f"the clip took over {PATIENCE:g} s; see the logs in var/log/.")
            print(f"\n{job['state'].capitalize()} after {time.monotonic() - began:.1f} s")
            if job["state"] != "succeeded":
                why = (job["error"] or {}).get("message", job["state"])
                raise DemoError(f"the job {job['state']}: {why}; see var/log/worker-{MODEL}.log.")
            return _download(client, job, folder)
        except httpx.HTTPError as error:
            raise DemoError(f"the web server could not be reached ({error}); see var/log/web.log.") from error


def _states(client: httpx.Client, job_id: str) -> Iterator[dict[str, Any]]:
    """The job at every change that the event stream tells, until it ends."""
    job: dict[str, Any] = {}
    with client.stream("GET", f"/jobs/{job_id}/events/stream", timeout=PATIENCE) as response:
        if response.is_error:
            response.read()
            _answer(response)
        event = ""
        for line in response.iter_lines():
            if line.startswith("event:"):
                event = line.removeprefix("event:").strip()
            elif line.startswith("data:"):
                data = json.loads(line.removeprefix("data:"))
                job = data if event == "job" else {**job, "progress": data["progress"]}
                yield job


class _Bar:
    """A progress bar: redrawn in place on a terminal, a line for each tenth elsewhere."""

    width = 40

    def __init__(self) -> None:
        self._last = ("", -1)

    def draw(self, progress: float, state: str) -> None:
        done = round(progress * self.width)
        bar = f"[{'█' * done}{'·' * (self.width - done)}] {progress:4.0%} {state:<10}"
        if sys.stdout.isatty():
            print(f"\r{bar}", end="", flush=True)
        elif (state, int(progress * 10)) != self._last:
            self._last = (state, int(progress * 10))
            print(bar, flush=True)


def _download(client: httpx.Client, job: dict[str, Any], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    clip = folder / f"{job['id']}.mp4"
    with client.stream("GET", job["output"]["url"]) as response, clip.open("wb") as file:
        response.raise_for_status()
        for block in response.iter_bytes():
            file.write(block)
    _check(clip, job)
    return clip


def _check(clip: Path, job: dict[str, Any]) -> None:
    """Decode the clip to its end and hold it against what was asked for."""
    try:
        media = probe(clip, strict=True)
    except MediaError as error:
        raise DemoError(f"the clip {clip} does not decode: {error}") from error
    video = media.video
    if video is None:
        raise DemoError(f"the file {clip} has no video in it.")
    facts = {
        "H.264": video.codec == "h264",
        "yuv420p": video.pix_fmt == "yuv420p",
        "moov first": is_faststart(clip),
        f"{job['width']} × {job['height']}": (video.width, video.height) == (job["width"], job["height"]),
        f"{SECONDS:g} s": abs(media.duration - SECONDS) < 1 / FPS,
    }
    print("Checked by decoding: " + ", ".join(fact for fact, holds in facts.items() if holds))
    wrong = [fact for fact, holds in facts.items() if not holds]
    if wrong:
        raise DemoError(f"the clip {clip} is not {', not '.join(wrong)}.")


def _answer(response: httpx.Response) -> dict[str, Any]:
    """The JSON of a good answer; a problem answer ends the demonstration with its own sentence."""
    body: dict[str, Any] = response.json()
    if response.is_error:
        raise DemoError(str(body.get("detail", response.text)))
    return body
