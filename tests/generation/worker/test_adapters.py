"""A job's adapters, as files on the worker's machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import Storage

from generation import adapter_registry
from generation.engines.base import AdapterUse, EngineError
from generation.models import Adapter, Job
from generation.scheduling.claims import Claimant, claim
from generation.weights import folders
from generation.worker import adapters
from generation.worker.attempt_run import make_request
from generation.worker.leases import Hold
from mutoscope.accounts.selectors import Access
from tests.conftest import BASE_DIR
from tests.generation.conftest import AddModel
from tests.generation.lora import content, from_hub
from tests.generation.samples import PAID, at_once, submit

Holding = Callable[..., Hold]

PRESETS = """
[[presets]]
name = "standard"
changes = "Nothing."

[[presets]]
name = "draft"
changes = "Fewer steps."
adapters = ["fast"]

[[adapters]]
name = "fast"
huggingface = "studio/fast"
file = "high.safetensors"
low_noise_file = "sub/low.safetensors"
strength = 0.9
gib = 0.1
"""


@pytest.fixture(autouse=True)
def models_folder(tmp_path: Path, settings: Any) -> Path:
    settings.MODELS_FOLDER = str(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def holding(access: Access) -> Holding:
    """A worker's hold on a new job with these adapters, by name and strength."""

    def make(preset: str = "", **strengths: float) -> Hold:
        job = submit(access)
        wishes = [{"name": name, "strength": strength} for name, strength in strengths.items()]
        Job.objects.filter(pk=job.pk).update(adapters=wishes, preset=preset)
        claimed = claim([PAID], Claimant("w1"))
        assert claimed is not None
        return Hold(claimed, time.monotonic())

    return make


def uploaded(name: str = "grain", low_noise: bytes = b"", **changes: Any) -> Adapter:
    """An adapter from a file, registered as operators do; then for the model `still`."""
    adapter = Adapter(name=name, models_allowed=["tiny-ltx"])
    adapter.file = ContentFile(content(), "x.safetensors")
    if low_noise:
        adapter.low_noise_file = ContentFile(low_noise, "y.safetensors")
    adapter_registry.register(adapter)
    Adapter.objects.filter(pk=name).update(**{"models_allowed": ["still"], **changes})
    adapter.refresh_from_db()
    return adapter


def test_an_uploaded_file_is_copied_once_a_machine(
    holding: Holding, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded(low_noise=content(fill=1))
    hold = holding(grain=0.5)
    (use,) = adapters.fetch(hold)
    assert (use.name, use.strength) == ("grain", 0.5)
    assert use.file.is_relative_to(models_folder)
    assert use.low_noise_file is not None
    assert (use.file.read_bytes(), use.low_noise_file.read_bytes()) == (content(), content(fill=1))

    def refuse(*args: Any) -> None:
        pytest.fail("the storage was asked again")

    monkeypatch.setattr(Storage, "open", refuse)
    assert adapters.fetch(hold) == (use,)
    assert [file for file in models_folder.rglob("*") if file.suffix == ".part"] == []


def test_the_engine_is_asked_for_them(holding: Holding, tmp_path: Path) -> None:
    uploaded()
    request = make_request(holding(grain=0.5), tmp_path, "")
    assert [(use.name, use.strength) for use in request.adapters] == [("grain", 0.5)]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_several_workers_may_copy_at_once(holding: Holding, models_folder: Path) -> None:
    uploaded()
    hold = holding(grain=1.0)
    made = at_once(*[lambda: adapters.fetch(hold)] * 4)
    assert len(set(made)) == 1
    assert made[0][0].file.read_bytes() == content()
    assert len([file for file in (models_folder / "adapters").rglob("*") if file.is_file()]) == 1


def test_what_arrives_damaged_is_asked_for_again(holding: Holding, settings: Any) -> None:
    adapter = uploaded()
    stored = Path(adapter.file.path)
    stored.write_bytes(content()[:-1])
    settings.STORAGE_PATIENCE = settings.STORAGE_PATIENCE * 0
    with pytest.raises(EngineError, match="arrived damaged") as caught:
        adapters.fetch(holding(grain=1.0))
    assert (caught.value.code, caught.value.blame) == ("storage_failed", "machine")
    assert not folders.registered_adapter_file(adapter.file.name).exists()


def test_a_storage_that_is_away_is_waited_for(holding: Holding, monkeypatch: pytest.MonkeyPatch) -> None:
    uploaded()
    hold, opened, tries = holding(grain=1.0), Storage.open, []

    def away_at_first(self: Any, *args: Any) -> Any:
        tries.append(args)
        if len(tries) < 3:
            raise ConnectionError("no route to storage")
        return opened(self, *args)

    monkeypatch.setattr(Storage, "open", away_at_first)
    assert adapters.fetch(hold)[0].file.read_bytes() == content()
    assert len(tries) == 3


def test_a_file_that_is_gone_is_no_users_fault(holding: Holding) -> None:
    Path(uploaded().file.path).unlink()
    with pytest.raises(EngineError, match="missing in the storage") as caught:
        adapters.fetch(holding(grain=1.0))
    assert (caught.value.code, caught.value.blame) == ("adapter_missing", "machine")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"is_enabled": False}, "the adapter grain was disabled before the job could begin"),
        ({"models_allowed": ["tiny-ltx"]}, "the adapter grain is no longer for the model still"),
        (None, "the adapter grain was removed before the job could begin"),
    ],
)
def test_one_that_was_taken_away_ends_the_job(holding: Holding, change: dict[str, Any] | None, words: str) -> None:
    adapter = uploaded()
    hold = holding(grain=1.0)
    if change is None:
        adapter.delete()
    else:
        Adapter.objects.filter(pk="grain").update(**change)
    with pytest.raises(EngineError) as caught:
        adapters.fetch(hold)
    assert (caught.value.code, caught.value.message, caught.value.blame) == ("adapter_gone", words, "user")


def test_one_of_a_hub_must_have_been_pulled(holding: Holding) -> None:
    adapter = from_hub(name="smoke", models_allowed=["still"], hub_low_noise_file="low.safetensors")
    hold = holding(smoke=0.3)
    with pytest.raises(EngineError, match=r"manage\.py adapters pull smoke") as caught:
        adapters.fetch(hold)
    assert (caught.value.code, caught.value.blame) == ("adapter_missing", "machine")
    folder = folders.hub_adapter_folder(adapter.huggingface, adapter.revision)
    folder.mkdir(parents=True)
    for name in ("grain.safetensors", "low.safetensors"):
        (folder / name).write_bytes(content())
    expected = AdapterUse("smoke", folder / "grain.safetensors", 0.3, folder / "low.safetensors")
    assert adapters.fetch(hold) == (expected,)


def test_a_presets_adapters_come_first(holding: Holding, add_model: AddModel, models_folder: Path) -> None:
    still = (BASE_DIR / "tests" / "catalog" / "still.toml").read_text()
    add_model(still.replace('"still"', '"mine"') + PRESETS)
    uploaded(models_allowed=["mine"])
    draft, standard = holding(preset="draft", grain=0.5), holding(preset="standard", grain=0.5)
    draft.job.model = standard.job.model = "mine"
    with pytest.raises(EngineError, match=r"manage\.py models pull mine") as caught:
        adapters.fetch(draft)
    assert (caught.value.code, caught.value.blame) == ("adapter_missing", "machine")
    folder = models_folder / "studio--fast"
    (folder / "sub").mkdir(parents=True)
    for name in ("high.safetensors", "sub/low.safetensors"):
        (folder / name).write_bytes(content())
    fast, grain = adapters.fetch(draft)
    assert fast == AdapterUse("fast", folder / "high.safetensors", 0.9, folder / "sub" / "low.safetensors")
    assert grain.name == "grain"
    assert [use.name for use in adapters.fetch(standard)] == ["grain"]


def test_what_killed_workers_have_left_is_removed(holding: Holding, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = uploaded()
    left = folders.registered_adapter_file(adapter.file.name).with_suffix(".part")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    monkeypatch.setattr(adapters, "ABANDONED_SECONDS", -1.0)
    adapters.fetch(holding(grain=1.0))
    assert not left.exists()
