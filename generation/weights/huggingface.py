"""Weights from the Hugging Face Hub, or from what `HF_ENDPOINT` names; with the token of `HF_TOKEN`, if any.

`huggingface_hub` 2.4 throws away what a broken-off `snapshot_download` had of a file: the next one begins each
unfinished file anew, and with eight in parallel those are tens of GiB. So its parts are used here: listing, token
and errors, and `http_get`, which goes on within a file. A file whose SHA-256 the hub tells is hashed before it is
put in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from generation.weights import manifest
from generation.weights.errors import WeightsError
from generation.weights.manifest import HubFile


class HuggingFace:
    """The hub as `hubs.Hub` wants it."""

    def __init__(self) -> None:
        import huggingface_hub  # here, not above: the web process and workers never pay for it

        self._api = huggingface_hub.HfApi()

    def newest(self, repository: str) -> str:
        with _told(repository):
            return str(self._api.model_info(repository).sha)

    def files(self, repository: str, revision: str) -> dict[str, HubFile]:
        from huggingface_hub.hf_api import RepoFile

        with _told(repository):
            return {
                entry.path: HubFile(
                    size=entry.size, sha256=entry.lfs.sha256 if entry.lfs else "", blob=entry.blob_id
                )
                for entry in self._api.list_repo_tree(repository, recursive=True, revision=revision)
                if isinstance(entry, RepoFile)
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
        from huggingface_hub import constants, get_token, hf_hub_url
        from huggingface_hub.file_download import http_get

        if file.size > constants.MAX_HTTP_DOWNLOAD_SIZE:
            limit = constants.MAX_HTTP_DOWNLOAD_SIZE // 10**9
            raise WeightsError(
                f"{path} of {repository} has {file.size} bytes, and the hub sends {limit} GB at most"
            )
        target = folder / path
        part = manifest.incomplete(target)
        part.parent.mkdir(parents=True, exist_ok=True)
        if (manifest.size_of(part) or 0) > file.size:
            part.unlink()
        # Ranges count in the file's own bytes: none of them may come compressed.
        headers = {"Accept-Encoding": "identity"}
        token = get_token()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        with _told(repository), part.open("ab") as out:
            http_get(
                hf_hub_url(repository, path, revision=revision),
                out,
                resume_size=out.tell(),
                headers=headers,
                expected_size=file.size,
                tqdm_class=_counting(on_bytes),
            )
        if file.sha256 and manifest.sha256_of(part) != file.sha256:
            part.unlink()
            raise WeightsError(f"{path} of {repository} arrived damaged and was thrown away; pull again")
        part.replace(target)


def _counting(on_bytes: Callable[[int], None]) -> Any:
    """What `http_get` takes for a progress bar."""

    class Bar:
        def __init__(self, *args: object, **options: object) -> None: ...

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *error: object) -> None: ...

        def update(self, count: int) -> None:
            on_bytes(count)

    return Bar


@contextmanager
def _told(repository: str) -> Iterator[None]:
    """The hub's errors as sentences."""
    import httpx2  # what huggingface_hub speaks through, and whose errors it lets through
    from huggingface_hub import constants, errors

    page = f"{constants.ENDPOINT}/{repository}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise WeightsError(
            f"{repository} is gated: accept its terms on {page} and set HF_TOKEN to a token of that account"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise WeightsError(
            f"{page} is not there, or it is private: then set HF_TOKEN to a token that may read it"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise WeightsError(f"{repository} has no such revision any more: {_first_line(error)}") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in {401, 403}:
            raise WeightsError(
                f"the hub refuses {repository} ({status}): accept its terms on {page} if it has any, and set "
                "HF_TOKEN to a token that may read it"
            ) from error
        raise WeightsError(f"the hub answered {status} for {repository}: {_first_line(error)}") from error
    except errors.OfflineModeIsEnabled as error:
        raise WeightsError("HF_HUB_OFFLINE is set, so nothing can be fetched; unset it and pull again") from error
    except httpx2.HTTPError as error:
        raise WeightsError(
            f"{constants.ENDPOINT} broke off or cannot be reached; pull again, and what came is kept: {error}"
        ) from error


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
