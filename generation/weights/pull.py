"""Pulling a model's weights: what is there stays, what is missing comes, and a manifest says what it must be.

A pull may be broken off at any time; the next one goes on from there. Until a folder is complete its manifest has
no `pulled_at`.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.core.management.base import OutputWrapper

from generation import licences
from generation.catalog.schema import Model
from generation.weights import manifest
from generation.weights.errors import WeightsError
from generation.weights.hubs import Hub, hub
from generation.weights.manifest import HubFile, Manifest
from generation.weights.needs import Need, matches, needs_of
from generation.weights.progress import GIB, Progress

AT_ONCE = 4
"""Files that are downloaded at once."""
SPARE = GIB
"""Bytes that a pull leaves free on the disk."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pull does to one folder."""

    need: Need
    hub: Hub
    before: Manifest | None
    after: Manifest
    missing: dict[str, HubFile]
    """To be fetched, whole or the rest of it."""
    stale: list[Path]
    """In the way: of another content than the hub's."""

    @property
    def bytes_left(self) -> int:
        """What is still to come, after what came earlier of unfinished files."""
        return sum(file.size - self._there(path) for path, file in self.missing.items())

    @property
    def bytes_freed(self) -> int:
        """What removing the stale files gives back."""
        return sum(manifest.size_of(path) or 0 for path in self.stale)

    def _there(self, path: str) -> int:
        part = manifest.incomplete(self.need.folder / path)
        return 0 if part in self.stale else min(manifest.size_of(part) or 0, self.missing[path].size)


def pull(model: Model, out: OutputWrapper, *, source: str = "", update: bool = False, deep: bool = False) -> None:
    """Bring everything that the model needs to this machine, or what is missing of it.

    `source` names the hub of the pipeline. `update` moves what the catalog does not pin to the newest commit.
    `deep` also hashes what is there, and fetches anew what is damaged. Raises `WeightsError`.
    """
    refusal = licences.refusal(model)
    if refusal:
        raise WeightsError(refusal)
    needs = needs_of(model, source)
    if model.weights is None:
        out.write(f"{model.name} needs no weights")
    elif model.weights.folder:
        out.write(f"the pipeline of {model.name} is yours, in {model.weights.folder}: nothing is pulled into it")
    bring(needs, model.name, out, update=update, deep=deep)


def bring(
    needs: Sequence[Need], name: str, out: OutputWrapper, *, update: bool = False, deep: bool = False
) -> None:
    """Bring files of repositories to this machine, or what is missing of them, for what is called `name`.

    `update` and `deep` are as in `pull`. Raises `WeightsError`.
    """
    try:
        with ExitStack() as locks:
            for need in needs:
                locks.enter_context(_locked(need.folder))
            plans = [_plan(need, update=update, deep=deep, out=out) for need in needs]
            _check_room(plans)
            _carry_out(plans, out)
    except OSError as error:
        raise WeightsError(f"the weights of {name} cannot be stored: {error}") from error


def _plan(need: Need, *, update: bool, deep: bool, out: OutputWrapper) -> Plan:
    source = hub(need.hub)
    before = manifest.read(need.folder)
    is_same_hub = before is not None and (before.hub, before.repository) == (need.hub, need.repository)
    kept = before.revision if before and is_same_hub and not update else ""
    revision = need.revision or kept or source.newest(need.repository)
    if before and (not is_same_hub or revision != before.revision):
        out.write(f"{need.repository}: from {before.revision} to {revision} ({need.hub})")
    listing = source.files(need.repository, revision)
    _check_listing(need, revision, listing)
    already = before.files if before else {}
    wanted = {path: file for path, file in listing.items() if matches(path, need.patterns) or path in already}
    if before and revision == before.revision and is_same_hub and not update:
        _check_unmoved(need, before, listing)
    missing = {path: file for path, file in wanted.items() if not _is_there(need.folder, path, file, before, deep)}
    after = Manifest(
        repository=need.repository,
        hub=need.hub,
        revision=revision,
        patterns=sorted({*(before.patterns if before else ()), *(need.patterns or (manifest.ALL,))}),
        files={path: _with_known_hash(path, file, before) for path, file in sorted(wanted.items())},
    )
    return Plan(need, source, before, after, missing, _stale(need.folder, missing, wanted, before))


def _check_listing(need: Need, revision: str, listing: dict[str, HubFile]) -> None:
    """What the catalog wants is there, and nothing would be put outside of the folder."""
    for path in listing:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\\" in path:
            raise WeightsError(f"{need.repository} names a file {path!r}, which would lie outside of its folder")
    for pattern in need.patterns or (manifest.ALL,):
        if not any(matches(path, (pattern,)) for path in listing):
            raise WeightsError(f"{need.repository} at {revision} has no file {pattern}, which the catalog wants")


def _check_unmoved(need: Need, before: Manifest, listing: dict[str, HubFile]) -> None:
    """A branch that a hub cannot pin must not change what lies here unasked."""
    for path, file in before.files.items():
        now = listing.get(path)
        if now is None or not now.is_same(file):
            raise WeightsError(
                f"{need.repository} is no longer what was pulled ({path} has changed at {before.revision}); "
                "pull with --update to take what it is now"
            )


def _is_there(folder: Path, path: str, file: HubFile, before: Manifest | None, deep: bool) -> bool:
    target = folder / path
    if manifest.size_of(target) != file.size:
        return False
    known = before.files.get(path) if before else None
    if known and known.is_same(file):
        expected = known.sha256 or file.sha256
        return not (deep and expected) or manifest.sha256_of(target) == expected
    return bool(file.sha256) and manifest.sha256_of(target) == file.sha256


def _with_known_hash(path: str, file: HubFile, before: Manifest | None) -> HubFile:
    known = before.files.get(path) if before else None
    if known and known.is_same(file) and not file.sha256:
        return file.model_copy(update={"sha256": known.sha256})
    return file


def _stale(
    folder: Path, missing: dict[str, HubFile], wanted: dict[str, HubFile], before: Manifest | None
) -> list[Path]:
    already = before.files if before else {}
    stale = [folder / path for path in [*missing, *(set(already) - set(wanted))]]
    for path, file in missing.items():
        if path not in already or not already[path].is_same(file):
            stale.append(manifest.incomplete(folder / path))  # the beginning of something else
    return [path for path in stale if manifest.size_of(path) is not None]


def _check_room(plans: list[Plan]) -> None:
    """Raise `WeightsError` unless all that is still to come fits the disk."""
    folder = Path(settings.MODELS_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    needed = sum(plan.bytes_left - plan.bytes_freed for plan in plans)
    free = shutil.disk_usage(folder).free
    if needed > 0 and needed + SPARE > free:
        raise WeightsError(
            f"{folder} has {free / GIB:.1f} GiB free, but {needed / GIB:.1f} GiB are still to come and "
            f"{SPARE / GIB:.0f} GiB must stay free; make room, or set MODELS_FOLDER to a larger disk"
        )


def _carry_out(plans: list[Plan], out: OutputWrapper) -> None:
    for plan in plans:
        for path in plan.stale:
            path.unlink(missing_ok=True)
        if plan.missing or plan.before is None or plan.after.revision != plan.before.revision:
            manifest.write(plan.need.folder, plan.after)
    total = sum(plan.bytes_left for plan in plans)
    count = sum(len(plan.missing) for plan in plans)
    if count:
        out.write(f"{count} files, {total / GIB:.2f} GiB to come")
        _fetch_all(plans, Progress(total, out))
    for plan in plans:
        _complete(plan)
        out.write(f"{plan.need.repository} at {plan.after.revision} is complete in {plan.need.folder}")


def _fetch_all(plans: list[Plan], progress: Progress) -> None:
    """Fetch what is missing. The first error ends the other downloads where they are, and so does Ctrl-C."""

    def fetch(plan: Plan, path: str, file: HubFile) -> None:
        need = plan.need
        plan.hub.fetch(need.repository, plan.after.revision, path, file, need.folder, progress.add)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        downloads = [
            pool.submit(fetch, plan, path, file) for plan in plans for path, file in sorted(plan.missing.items())
        ]
        try:
            done, _ = wait(downloads, return_when=FIRST_EXCEPTION)
            for download in done:
                download.result()
        except BaseException:
            progress.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    progress.close()


def _complete(plan: Plan) -> None:
    """Write down that all is there, with the hash of each file that the hub did not tell."""
    folder, after = plan.need.folder, plan.after
    files = {
        path: file if file.sha256 else file.model_copy(update={"sha256": manifest.sha256_of(folder / path)})
        for path, file in after.files.items()
    }
    when = plan.before.pulled_at if plan.before and not plan.missing else None
    complete = after.model_copy(update={"files": files, "pulled_at": when or datetime.now(UTC)})
    manifest.write(folder, complete)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One pull at a time into a folder. Raises `WeightsError` while another one is at it."""
    locks = Path(settings.MODELS_FOLDER) / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WeightsError(f"another pull into {folder} is under way; wait until it has ended") from error
        yield
