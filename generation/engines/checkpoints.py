"""Checkpoint files that say for which request and engine they are good, so that no other goes on from them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from generation.engines.base import Checkpoint, EngineError, EngineRequest


def facts_of(request: EngineRequest, engine: str, version: str, **more: Any) -> dict[str, Any]:
    """What a checkpoint must have in common with the request that goes on from it.

    `more` is what else the engine reckons by: its precision, its memory plan where that changes the frames.
    """
    wanted = {
        name: getattr(request, name)
        for name in (
            "mode", "prompt", "negative_prompt", "width", "height", "frames", "fps", "seed", "steps", "guidance",
            "step_cache",
        )
    }  # fmt: skip
    wanted["options"] = dict(request.options)
    wanted["adapters"] = [[use.name, use.strength] for use in request.adapters]
    return {"engine": engine, "version": version, **wanted, **more}


def write(file: Path, facts: Mapping[str, Any], state: bytes) -> None:
    """Write the state together with the facts it is good for, and a checksum of it."""
    head = json.dumps({"facts": facts, "crc32": zlib.crc32(state)}, sort_keys=True).encode()
    with file.open("wb") as target:
        target.write(head + b"\n")
        target.write(state)


def read(checkpoint: Checkpoint, facts: Mapping[str, Any]) -> bytes:
    """The state in the file. Raises `EngineError` (checkpoint_unreadable) where it is broken or of other facts."""
    try:
        with checkpoint.file.open("rb") as source:
            head = json.loads(source.readline())
            state = source.read()
        found, checksum = head["facts"], head["crc32"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable(f"it cannot be read: {error}") from error
    if checksum != zlib.crc32(state):
        raise unreadable("its checksum does not match")
    # Once through JSON, as the file's were: tuples become lists.
    if found != json.loads(json.dumps(facts)):
        raise unreadable("it was made for another request, or by another version")
    return state


def unreadable(reason: str) -> EngineError:
    """The error that has the job begin anew."""
    return EngineError("checkpoint_unreadable", f"the checkpoint is of no use: {reason}", "ours")
