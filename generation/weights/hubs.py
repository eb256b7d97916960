"""The contract of a hub: what pulling weights asks of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from generation.weights.errors import WeightsError
from generation.weights.huggingface import HuggingFace
from generation.weights.manifest import HubFile
from generation.weights.modelscope import ModelScope
from generation.weights.needs import HubName

OnBytes = Callable[[int], None]
"""Told of bytes as they come, and of lost ones as negative numbers; what it raises ends the download."""

INSTALL = "make setup-gpu"


class Hub(Protocol):
    """A place that publishes repositories. Every method raises `WeightsError` with what the operator can do."""

    def newest(self, repository: str) -> str:
        """The repository's newest revision SHALL be given as exactly as the hub tells it."""

    def files(self, repository: str, revision: str) -> dict[str, HubFile]:
        """Every file of the repository at a revision, by its path, SHALL be given with its size in bytes."""

    def fetch(
        self, repository: str, revision: str, path: str, file: HubFile, folder: Path, on_bytes: OnBytes
    ) -> None:
        """One file SHALL be brought to `folder / path`, or to nothing there if it is not what the hub promised.

        What comes is kept in `manifest.incomplete`; a later call SHALL go on from there.
        """


def hub(name: HubName) -> Hub:
    """The hub of that name. Raises `WeightsError` where its library is not installed."""
    try:
        return HuggingFace() if name == HubName.HUGGINGFACE else ModelScope()
    except ImportError as error:
        raise WeightsError(
            f"pulling from {name} needs the package {error.name}; install it with: {INSTALL}"
        ) from error
