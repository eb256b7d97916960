"""Weights from ModelScope, or from what `MODELSCOPE_ENDPOINT` names; with `MODELSCOPE_API_TOKEN`, if any.

Its library goes on within broken-off files and compares their SHA-256 by itself. It does not tell which commit a
branch is at: without a revision in the catalog the branch is followed as long as its files stay the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from generation.weights import manifest
from generation.weights.errors import WeightsError
from generation.weights.manifest import HubFile

BRANCH = "master"


class ModelScope:
    """The hub as `hubs.Hub` wants it."""

    def __init__(self) -> None:
        os.environ.setdefault("TQDM_DISABLE", "1")  # the pull shows its own progress
        from modelscope_hub.api import HubApi  # here, not above: the web process and workers never pay for it

        self._api = HubApi(endpoint=os.environ.get("MODELSCOPE_ENDPOINT") or None)

    def newest(self, repository: str) -> str:
        return BRANCH

    def files(self, repository: str, revision: str) -> dict[str, HubFile]:
        with _told(repository):
            listed = self._api.list_repo_files(repository, "model", revision=revision)
        return {
            entry.path: HubFile(size=entry.size, sha256=entry.sha256 or "", blob=entry.blob_id or "")
            for entry in listed
            if not entry.is_dir
        }

    def fetch(
        self,
        repository: str,
        revision: str,
        path: str,
        file: HubFile,
        folder: Path,
        on_bytes: Callable[[int], None],
    ) -> None:
        from modelscope_hub import ProgressCallback

        class Counting(ProgressCallback):
            def update(self, size: int) -> None:
                on_bytes(size)

        on_bytes(-(manifest.size_of(manifest.incomplete(folder / path)) or 0))  # reported as if they came now
        with _told(repository):
            self._api.downloader.download_file(
                repository,
                "model",
                path,
                revision=revision,
                local_dir=folder,
                expected_sha256=file.sha256 or None,
                file_size=file.size,
                progress_callbacks=[Counting],
            )


@contextmanager
def _told(repository: str) -> Iterator[None]:
    """The hub's errors as sentences."""
    from modelscope_hub import errors

    try:
        yield
    except (errors.AuthenticationError, errors.PermissionDeniedError) as error:
        raise WeightsError(
            f"ModelScope refuses {repository}: accept its terms there if it has any, and set MODELSCOPE_API_TOKEN "
            f"to a token of that account: {error}"
        ) from error
    except errors.NotExistError as error:
        raise WeightsError(f"ModelScope has no {repository}, or not at this revision: {error}") from error
    except errors.FileIntegrityError as error:
        raise WeightsError(
            f"a file of {repository} arrived damaged and was thrown away; pull again: {error}"
        ) from error
    except (errors.HubError, OSError) as error:
        raise WeightsError(
            f"ModelScope broke off or cannot be reached; pull again, and what came is kept: {error}"
        ) from error
