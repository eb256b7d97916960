"""Rules of the project about itself."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command, get_commands
from django.template.loader import get_template

from tests.conftest import BASE_DIR

TESTS = BASE_DIR / "tests"
OUR_APPS = {
    "mutoscope", "generation", "assets", "billing",
    "mutoscope.accounts", "mutoscope.dashboard", "mutoscope.operations",
}  # fmt: skip
HEAVY = [
    "torch", "diffusers", "transformers", "peft", "accelerate", "torchao", "safetensors", "huggingface_hub",
    "modelscope", "numpy", "cv2",
]  # fmt: skip


def test_the_source_root_shadows_nothing() -> None:
    assert not (BASE_DIR / "platform" / "__init__.py").exists()
    assert Path(platform.__file__).parent == Path(sysconfig.get_path("stdlib"))
    assert platform.system() in {"Linux", "Darwin", "Windows"}


def test_every_folder_of_tests_is_a_package() -> None:
    for path in TESTS.rglob("test_*.py"):
        assert (path.parent / "__init__.py").exists(), path
    assert not (TESTS / "platform").exists()


@pytest.mark.parametrize(
    "module", ["mutoscope.asgi", "generation.worker.runtime", "mutoscope.celery", "generation.tasks"]
)
def test_only_engines_load_what_is_heavy(module: str) -> None:
    code = (
        "import os, sys, django; os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mutoscope.settings');"
        f"django.setup(); import {module}; print(*[m for m in {HEAVY} if m in sys.modules])"
    )
    path = os.pathsep.join([str(BASE_DIR), str(BASE_DIR / "platform")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == ""


def test_every_command_of_ours_has_a_test() -> None:
    ours = {name for name, app in get_commands().items() if app in OUR_APPS}
    assert {"demo", "fleet", "media", "up", "web", "upkeep", "worker"} <= ours
    tests = "\n".join(path.read_text() for path in TESTS.rglob("test_*.py") if path != Path(__file__))
    for name in ours:
        assert re.search(rf'\((?:home, )?"{name}"', tests), f"no test runs `manage.py {name}`"


def test_every_template_of_ours_compiles() -> None:
    folder = BASE_DIR / "templates"
    for path in folder.rglob("*.html"):
        get_template(str(path.relative_to(folder)))


def test_no_migration_is_missing(db: None) -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_every_app_of_ours_is_installed() -> None:
    assert {config.name for config in apps.get_app_configs()} >= OUR_APPS


def test_what_the_readme_says_to_type_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (BASE_DIR / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "up", "test", "help"} <= targets
    for command in re.findall(r"\bmake ([a-z-]+)\b(?=[ `\n\"])", (BASE_DIR / "README.md").read_text()):
        assert command in targets, f"README.md says `make {command}`"


def test_make_help_lists_what_there_is() -> None:
    said = subprocess.run(["make", "help"], cwd=BASE_DIR, capture_output=True, text=True, check=True).stdout
    for target in ("demo", "up", "test", "lint", "types", "worker"):
        assert re.search(rf"^  make {target} ", said, re.MULTILINE), target
