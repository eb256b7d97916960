"""The short form of the suite, as a process of its own: its services and settings are not those of the tests."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.chaos.faults import PROCESSES, SERVICES
from tests.conftest import BASE_DIR

pytestmark = pytest.mark.processes


def test_nothing_is_lost_doubled_or_left_over_whatever_breaks() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--short", "--var", str(BASE_DIR / "var" / "test" / "chaos")],
        cwd=BASE_DIR, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=400, check=False,
    )  # fmt: skip
    print(done.stdout)  # shown by pytest where the test fails: the seed is in it
    assert done.returncode == 0
    assert "lost 0, doubled 0, orphaned 0, wrong 0" in done.stdout
    happened = re.search(r"^faults .*$", done.stdout, re.MULTILINE)
    assert happened
    for fault in (*PROCESSES, *SERVICES):
        assert fault.name in happened.group(), f"{fault.name} did not happen"
