"""`fleet.toml`: what it means for a host, every problem by key, rule and value, and what runs against it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from generation.models import Worker
from generation.workers import Seen
from mutoscope.ages import ago
from mutoscope.operations.fleet import file, status
from mutoscope.operations.fleet.file import Fleet, FleetError
from tests.conftest import BASE_DIR

GOOD = """
[[hosts]]
names = ["gpu-1", "gpu-2"]
gpus = 4

[[hosts.workers]]
model = "still"
lanes = ["paid"]
gpus = [0, 1]

[[hosts.workers]]
model = "preview"
lanes = ["preview.free", "batch"]
gpus = [3]

[[hosts]]
names = ["*"]
spot = true

[[hosts.workers]]
model = "still"
count = 2

[[hosts.workers]]
model = "still"
lanes = ["batch"]
"""


def fleet(folder: Path, text: str = GOOD) -> Fleet:
    path = folder / "fleet.toml"
    path.write_text(text)
    return file.read(path)


def test_a_host_gets_its_workers(tmp_path: Path) -> None:
    slots = fleet(tmp_path).slots("gpu-2")
    assert [(slot.worker_name, slot.lanes, slot.gpu, slot.is_spot) for slot in slots] == [
        ("still-gpu0@gpu-2", ("still.paid",), "0", False),
        ("still-gpu1@gpu-2", ("still.paid",), "1", False),
        ("preview-gpu3@gpu-2", ("preview.free", "preview.batch"), "3", False),
    ]
    assert " ".join(slots[2].arguments) == (
        "worker --name preview-gpu3 --model preview --lanes preview.free,preview.batch --gpu 3"
    )


def test_any_other_host_gets_those_of_the_star(tmp_path: Path) -> None:
    slots = fleet(tmp_path).slots("laptop")
    everything = ("still.paid", "still.free", "still.batch")
    assert [(slot.worker_name, slot.lanes, slot.gpu, slot.is_spot) for slot in slots] == [
        ("still-1@laptop", everything, "", True),
        ("still-2@laptop", everything, "", True),
        ("still-3@laptop", ("still.batch",), "", True),
    ]
    assert slots[0].arguments[-1] == "--spot"


def test_all_gpus_of_a_host(tmp_path: Path) -> None:
    text = '[[hosts]]\nnames = ["box"]\ngpus = 8\n[[hosts.workers]]\nmodel = "still"\ngpus = "all"\n'
    assert [slot.gpu for slot in fleet(tmp_path, text).slots("box")] == list("01234567")


def test_a_memory_plan_is_passed_on(tmp_path: Path) -> None:
    text = (
        '[[hosts]]\nnames = ["box"]\ngpus = 1\n[[hosts.workers]]\nmodel = "still"\ngpus = "all"\nplan = "light"\n'
    )
    (slot,) = fleet(tmp_path, text).slots("box")
    assert slot.arguments[-4:] == ("--gpu", "0", "--plan", "light")


def test_an_unknown_host_is_told_with_those_there_are(tmp_path: Path) -> None:
    known = fleet(tmp_path, GOOD.replace('"*"', '"gpu-3"'))
    with pytest.raises(FleetError, match="no host 'laptop'; it has gpu-1, gpu-2, gpu-3"):
        known.slots("laptop")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("gpus = 4", "gpus = -1", "hosts.0.gpus: .*greater than or equal to 0, but is -1"),
        ("gpus = 4", "gpu = 4", "hosts.0.gpu: Extra inputs are not permitted, but is 4"),
        ('["gpu-1", "gpu-2"]', "[]", r"hosts.0.names: .*at least 1 item.*, but is \[\]"),
        ('["gpu-1", "gpu-2"]', '["gpu 1"]', "hosts.0.names.0: .*pattern.*, but is 'gpu 1'"),
        ('["gpu-1", "gpu-2"]', '["gpu-1", "gpu-1"]', "hosts.0.names: a host must stand once .*, but is 'gpu-1'"),
        ('["*"]', '["gpu-2"]', "hosts.1.names: a host must stand once in the file, but is 'gpu-2'"),
        ('lanes = ["paid"]', 'lanes = ["gold"]', "hosts.0.workers.0: .*one of paid, free, batch, but is 'gold'"),
        ('lanes = ["paid"]', 'lanes = ["paid", "still.paid"]', "hosts.0.workers.0: .*still.paid stands twice"),
        ('lanes = ["paid"]', "lanes = []", "hosts.0.workers.0.lanes: .*at least 1"),
        ('"preview"', '"nobody"', "hosts.0.workers.1: .*one of .*still.*, but is 'nobody'"),
        ('["preview.free", "batch"]', '["still.free"]', "hosts.0.workers.1: .*'still.free' is still's"),
        ("gpus = [3]", "gpus = [4]", "hosts.0.workers.1.gpus: must be below the host's gpus, 4, but is 4"),
        ("gpus = [3]", "gpus = [1]", "hosts.0.workers.1.gpus: .*yet is given twice, but is 1"),
        ("gpus = [3]", 'gpus = "every"', "hosts.0.workers.1.gpus.*'all', but is 'every'"),
        ("gpus = [3]", "gpus = [3]\ncount = 2", "hosts.0.workers.1.count: is for workers without a GPU.* is 2"),
        ("count = 2", "count = 0", "hosts.1.workers.0.count: .*greater than 0, but is 0"),
        ("count = 2", 'gpus = "all"', "hosts.1.workers.0.gpus: the host must have GPUs .* is 'all'"),
        ("spot = true", "spot = 7", "hosts.1.spot: .*but is 7"),
        (GOOD, "", "hosts: Field required"),
        (
            "gpus = [3]",
            'gpus = [3]\nplan = "slim"',
            "hosts.0.workers.1.plan: .* of preview must be one of none, .*'slim'",
        ),
        ("gpus = 4", "gpus 4", "not TOML"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(FleetError, match=rf"^fleet.toml: {said}"):
        fleet(tmp_path, GOOD.replace(old, new, 1))


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(FleetError) as caught:
        fleet(tmp_path, GOOD.replace('"paid"', '"gold"').replace("gpus = [3]", "gpus = [9]"))
    assert len(caught.value.problems) == 2


def test_the_example_is_in_order() -> None:
    example = file.read(BASE_DIR / "fleet.example.toml")
    assert len(example.slots("gpu-1")) == 4
    assert [slot.is_spot for slot in example.slots("anywhere")] == [True, True]


def seen(name: str, host: str = "gpu-1", *, alive: bool = True, **columns: Any) -> Seen:
    row = Worker(name=f"{name}@{host}", host=host, model="still", lanes=["still.paid"], state="idle")
    for column, value in columns.items():
        setattr(row, column, value)
    return Seen(row, alive, timedelta(seconds=3), None)


def lines(folder: Path, *found: Seen, host: str = "gpu-1") -> dict[str, tuple[str, str]]:
    text = GOOD.replace('["gpu-1", "gpu-2"]', '["gpu-1"]').split('[[hosts]]\nnames = ["*"]')[0]
    compared = status.compare(fleet(folder, text), found, host)
    assert status.as_table(compared).count("\n") == len(compared)
    assert status.is_complete(compared) == all(line.state != "missing" for line in compared)
    return {row["worker"]: (row["state"], row["note"]) for row in status.as_json(compared)}


def test_what_is_wanted_against_what_runs(tmp_path: Path) -> None:
    assert lines(
        tmp_path,
        seen("still-gpu0", gpu="0", state="working"),
        seen("still-gpu1", gpu="1", alive=False, last_error="CUDA error"),
        seen("preview-gpu3", gpu="3", model="preview", lanes=["preview.paid"]),
        seen("still-gpu0", "gpu-9", gpu="0"),
        seen("forgotten", "gpu-9", alive=False),
    ) == {
        "still-gpu0@gpu-1": ("working", ""),
        "still-gpu1@gpu-1": ("missing", "CUDA error"),
        "preview-gpu3@gpu-1": ("idle", "the file wants free,batch"),
        "still-gpu0@gpu-9": ("idle", "not in the file"),
    }


def test_a_drained_worker_is_not_missing_and_one_by_hand_does(tmp_path: Path) -> None:
    drained = {"alive": False, "drain_requested_at": "2026-01-01"}
    found = lines(
        tmp_path,
        seen("still-gpu0", gpu="0", **drained),
        seen("still:41", gpu="1"),
        seen("preview-gpu3", gpu="3", model="preview", lanes=["preview.free", "preview.batch"]),
    )
    assert found == {
        "still-gpu0@gpu-1": ("drained", ""),
        "still:41@gpu-1": ("idle", ""),
        "preview-gpu3@gpu-1": ("idle", ""),
    }


def test_the_star_means_this_host_and_those_where_workers_run(tmp_path: Path) -> None:
    text = '[[hosts]]\nnames = ["*"]\n[[hosts.workers]]\nmodel = "still"\nlanes = ["paid"]\n'
    compared = status.compare(fleet(tmp_path, text), [seen("still-1", "b", gpu="")], "a")
    assert [(row["host"], row["state"]) for row in status.as_json(compared)] == [("a", "missing"), ("b", "idle")]


@pytest.mark.parametrize(
    ("age", "said"),
    [(None, "–"), (-1, "0 s"), (0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (86400 * 3, "3 d")],
)
def test_ages_are_told_in_their_largest_unit(age: float | None, said: str) -> None:
    assert ago(None if age is None else timedelta(seconds=age)) == said
