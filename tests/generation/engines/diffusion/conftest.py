from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from generation.engines.base import Engine, EngineRequest
from tests.generation.engines.cases import ltx


@pytest.fixture(scope="module")
def tiny_ltx() -> Iterator[tuple[Engine, EngineRequest]]:
    """A loaded engine with tiny weights and a request of twelve steps for it; each test leaves it ready."""
    case = ltx()
    engine = case.engine()
    engine.load(case.setup)
    yield engine, replace(case.request, steps=12)
    engine.unload()
