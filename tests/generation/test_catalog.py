"""The catalog: what ships loads, what breaks a rule is told by file, key, rule and value."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation import catalog
from generation.catalog.schema import Frames, Size
from generation.scheduling.lanes import Lane, UnknownLane, every_lane
from tests.conftest import BASE_DIR

STILL = (BASE_DIR / "tests" / "catalog" / "still.toml").read_text()


def problems(folder: Path, text: str, name: str = "still.toml") -> list[str]:
    (folder / name).write_text(text)
    with pytest.raises(catalog.CatalogError) as caught:
        catalog.read([folder])
    return caught.value.problems


@pytest.mark.parametrize("path", sorted(catalog.SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_model_loads(path: Path) -> None:
    model = catalog.models()[path.stem]
    assert model.size(model.default_size) is not None
    for size in model.sizes:
        assert (size.width % 2, size.height % 2) == (0, 0), "yuv420p needs even sides"


def test_operators_add_models_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(STILL.replace('slug = "still"', 'slug = "mine"'))
    shipped = set(catalog.read([catalog.SHIPPED]))
    assert set(catalog.read([catalog.SHIPPED, tmp_path])) == shipped | {"mine"}


BROKEN = [
    ('slug = "still"', 'slug = "Still!"', "slug", "pattern", "Still!"),
    ('slug = "still"', 'slug = "other"', "slug", "must be the file's name", "other"),
    ('name = "Still"', 'name = ""', "name", "at least 1 character", "''"),
    ('engine = "tests.engines:StillEngine"', 'engine = "tests.engines"', "engine", "pattern", "tests.engines"),
    ('modes = ["i2v", "t2v"]', "modes = []", "modes", "at least 1", "[]"),
    ('modes = ["i2v", "t2v"]', 'modes = ["gif"]', "modes.0", "i2v", "gif"),
    ('default_size = "tiny"', 'default_size = "huge"', "the whole file", "must be one of tiny", "huge"),
    ('use = "optional"', 'use = "sometimes"', "prompt.use", "required", "sometimes"),
    ("max_characters = 200", "max_characters = 0", "prompt.max_characters", "greater than 0", "0"),
    ("fps = [8]", "fps = []", "frames.fps", "at least 1", "[]"),
    ("fps = [8]", "fps = [8]\nmultiple = 4\nplus = 4", "frames", "plus must be below multiple", "4"),
    ("fps = [8]", "fps = [8, 24]\nmost = 1000", "frames", "at most 1000 frames", "1440"),
    ("min_seconds = 0.5", "min_seconds = 2", "frames", "min_seconds ≤ default_seconds", "2.0"),
    ("max_seconds = 60", "max_seconds = inf", "frames.max_seconds", "finite", "inf"),
    ("width = 64", "width = -64", "sizes.0.width", "greater than 0", "-64"),
    ("steps = 8", "steps = 20000", "sampling", "min_steps ≤ steps ≤ max_steps", "20000"),
    ("guidance = 1.0", "guidance = -1", "sampling.guidance", "greater than or equal to 0", "-1"),
    ("stall_seconds = 3", "stall_seconds = 0", "speed.stall_seconds", "greater than 0", "0"),
    ("credits_per_second = 0", "credits_per_second = -1", "price.credits_per_second", "greater than or", "-1"),
    ("credits_per_second = 0", "credits_per_second = 0\nin = 'EUR'", "price.in", "not permitted", "EUR"),
    ("commercial_use = true", "commercial_use = true\nexcluded_territories = ['Spain']",
     "licence.excluded_territories.0", "pattern", "Spain"),
    ("commercial_use = true", "commercial_use = true\nexcluded_territories = ['EU', 'UK']",
     "licence.excluded_territories.1", "the United Kingdom is GB", "UK"),
    ("diffusion = false", "diffusion = true", "the whole file", "needs weights, memory", ""),
    ("[price]\ncredits_per_second = 0", "", "price", "required", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("right", "wrong", "key", "rule", "value"), BROKEN, ids=[f"{b[2]}={b[4]}" for b in BROKEN]
)
def test_a_broken_rule_is_told_by_file_key_rule_and_value(
    tmp_path: Path, right: str, wrong: str, key: str, rule: str, value: str
) -> None:
    assert right in STILL
    found = problems(tmp_path, STILL.replace(right, wrong))
    assert len(found) == 1, found
    assert found[0].startswith(f"still.toml: {key}: ")
    assert rule in found[0]
    assert value in found[0]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("not toml at all")
    found = problems(tmp_path, STILL.replace("width = 64", "width = 0").replace("steps = 8", "steps = 0"))
    assert [line.partition(": ")[0] for line in found] == ["broken.toml", "still.toml", "still.toml"]


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "still.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(catalog.CatalogError, match=r"still\.toml: not TOML"):
        catalog.read([tmp_path])


def test_one_slug_stands_in_one_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "still.toml").write_text(STILL)
    with pytest.raises(catalog.CatalogError, match=r"slug: must not stand in two folders, but is 'still'"):
        catalog.read([tmp_path / "a", tmp_path / "b"])


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(catalog.CatalogError, match="CATALOG_FOLDERS must name folders"):
        catalog.read([tmp_path / "nowhere"])


def test_sizes_have_different_names(tmp_path: Path) -> None:
    doubled = STILL.replace("[sampling]", '[[sizes]]\nname = "tiny"\nwidth = 32\nheight = 32\n\n[sampling]')
    assert "sizes must have different names, but tiny stands twice" in problems(tmp_path, doubled)[0]


def test_the_start_stops_with_every_problem(tmp_path: Path) -> None:
    (tmp_path / "still.toml").write_text(STILL.replace("width = 64", "width = 0"))
    check = subprocess.run(
        [sys.executable, str(BASE_DIR / "manage.py"), "check"],
        env={**os.environ, "CATALOG_FOLDERS": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert check.returncode == 1
    assert "(generation.E001) still.toml: sizes.0.width: Input should be greater than 0, but is 0" in check.stderr
    assert "Traceback" not in check.stderr


@pytest.mark.parametrize(("multiple", "plus"), [(8, 1), (4, 1), (1, 0), (17, 5), (2, 0)])
@given(seconds=st.floats(0.04, 120), fps=st.sampled_from([8, 16, 24, 25, 30, 60]))
def test_frame_counts_are_legal_long_enough_and_minimal(
    multiple: int, plus: int, seconds: float, fps: int
) -> None:
    frames = Frames(multiple=multiple, plus=plus, fps=[fps], min_seconds=0.01, max_seconds=1000, default_seconds=1)
    count = frames.count(seconds, fps)
    assert count > 0
    assert count % multiple == plus % multiple
    assert count >= seconds * fps - 1e-5
    assert count - multiple < max(seconds * fps, 1)


@pytest.mark.parametrize(
    ("rule", "seconds", "fps", "count"),
    [
        ((8, 1), 4, 24, 97), ((8, 1), 97 / 24, 24, 97), ((4, 1), 5, 16, 81), ((1, 0), 4, 25, 100),
        ((1, 0), 0.1, 30, 3), ((1, 0), 1.02, 24, 25), ((8, 1), 0.01, 24, 1),
    ],
)  # fmt: skip
def test_frame_counts_by_example(rule: tuple[int, int], seconds: float, fps: int, count: int) -> None:
    frames = Frames(multiple=rule[0], plus=rule[1], fps=[24], min_seconds=0.01, max_seconds=10, default_seconds=1)
    assert frames.count(seconds, fps) == count


def test_ratios_are_as_people_write_them() -> None:
    sizes: list[Any] = [(1280, 720, "16:9"), (480, 854, "9:16"), (720, 720, "1:1"), (960, 720, "4:3")]
    assert [Size(name="s", width=w, height=h).ratio for w, h, _ in sizes] == [ratio for _, _, ratio in sizes]


def test_lanes_are_those_of_the_catalog() -> None:
    assert [str(lane) for lane in every_lane() if lane.model == "still"] == [
        "still.paid",
        "still.free",
        "still.batch",
    ]
    assert Lane.parse("still.paid") == Lane("still", "paid")
    for name, value in {"still.gold": "gold", "sora.paid": "sora", "still": "''", "": "''"}.items():
        with pytest.raises(UnknownLane, match=f"must be one of .*, but is '?{value}"):
            Lane.parse(name)
