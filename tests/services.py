"""A pytest plugin that must come before Django's settings: the tests' own PostgreSQL and Valkey.

They live under `var/test/`, apart from those of a checkout in use; parallel test processes share them, each with
its own database in both.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.tiny import models_folder

_BASE = Path(__file__).resolve().parents[1]
os.environ["MUTOSCOPE_VAR"] = str(_BASE / "var" / "test")
os.environ["MUTOSCOPE_MODE"] = "local"
os.environ["CATALOG_FOLDERS"] = str(_BASE / "tests" / "catalog")
os.environ["MODELS_FOLDER"] = str(models_folder(_BASE / "var" / "test"))
os.environ["OMP_NUM_THREADS"] = "1"  # torch's threads wait by spinning: with several engines, none gets anywhere
os.environ["HF_HUB_OFFLINE"] = "1"  # weights come from folders; what asks a hub would only wait
for name in ("DATABASE_URL", "REDIS_URL", "S3_BUCKET", "PUBLIC_URL"):
    os.environ.pop(name, None)

from mutoscope import embedded  # noqa: E402  (it reads MUTOSCOPE_VAR)

(_BASE / "var" / "test" / "static").mkdir(parents=True, exist_ok=True)  # whitenoise warns where there is none

# Here and not in a hook: pytest-django reads the settings before any hook of ours could run.
_running = ExitStack()
_running.enter_context(embedded.services())
_number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) + 1
os.environ["REDIS_URL"] = os.environ["REDIS_URL"].removesuffix("/0") + f"/{_number}"


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    _running.close()
