"""`manage.py adapters`: what is registered, and pulling it from a hub on loopback."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from generation.models import Adapter
from generation.weights import folders
from generation.weights.registered import hub_files
from tests.generation.lora import content, from_hub
from tests.generation.weights.hub import FakeHub

pytestmark = pytest.mark.django_db


def manage(*arguments: str) -> str:
    out = io.StringIO()
    call_command("adapters", *arguments, stdout=out)
    return out.getvalue()


def test_pulls_just_the_files_of_the_pinned_commit(hub: FakeHub) -> None:
    files = {"sub/high.safetensors": content(), "low.safetensors": content(fill=1), "other.safetensors": b"no"}
    commit = hub.publish("studio/loras", files)
    hub.publish("studio/loras", {"sub/high.safetensors": b"newer"})
    adapter = from_hub(
        name="smoke", revision=commit, hub_file="sub/high.safetensors", hub_low_noise_file="low.safetensors"
    )
    assert "not on this machine" in manage()
    assert "high.safetensors: a LoRA of 1 layer, rank 4, F32" in manage("pull", "smoke")
    high, low = hub_files(adapter)
    assert low is not None
    assert (high.read_bytes(), low.read_bytes()) == (content(), content(fill=1))
    assert not (low.parent / "other.safetensors").exists()
    assert "studio/loras, here" in manage("list")


def test_the_first_pull_pins_the_newest_for_all_machines(hub: FakeHub) -> None:
    commit = hub.publish("studio/loras", {"grain.safetensors": content()})
    from_hub(name="smoke", revision="")
    assert f"smoke is pinned to {commit}" in manage("pull", "smoke")
    hub.publish("studio/loras", {"grain.safetensors": content(fill=1)})
    manage("pull", "smoke")
    adapter = Adapter.objects.get()
    assert adapter.revision == commit
    assert hub_files(adapter)[0].read_bytes() == content()


def test_two_commits_of_one_repository_lie_side_by_side(hub: FakeHub) -> None:
    commits = [hub.publish("studio/loras", {"grain.safetensors": content(fill=fill)}) for fill in (0, 1)]
    for index, commit in enumerate(commits):
        adapter = from_hub(name=f"smoke-{index}", revision=commit)
        manage("pull", adapter.name)
        assert hub_files(adapter)[0].read_bytes() == content(fill=index)


def test_what_is_no_lora_is_not_left_for_workers(hub: FakeHub, folder: Path) -> None:
    commit = hub.publish("studio/loras", {"grain.safetensors": content({"x.weight": [4, 4]})})
    adapter = from_hub(name="smoke", revision=commit)
    with pytest.raises(
        CommandError, match=r"grain\.safetensors of studio/loras cannot be used: it must have LoRA"
    ):
        manage("pull", "smoke")
    assert not hub_files(adapter)[0].exists()
    assert folders.hub_adapter_folder("studio/loras", commit).is_relative_to(folder)


def test_refusals_say_what_to_do(hub: FakeHub) -> None:
    with pytest.raises(CommandError, match=r"no adapter is called 'nothing'; look with: manage\.py adapters list"):
        manage("pull", "nothing")
    Adapter.objects.create(name="grain", models_allowed=["tiny-ltx"], file="adapters/grain/x.safetensors")
    with pytest.raises(CommandError, match="workers fetch it from the storage by themselves"):
        manage("pull", "grain")
    assert "an uploaded file" in manage("list")
    from_hub(name="smoke", huggingface="studio/nothing")
    with pytest.raises(CommandError, match="studio/nothing"):
        manage("pull", "smoke")
