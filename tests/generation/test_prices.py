"""What a clip costs: the catalog's price, by size, seconds, preset, tier and steps."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from rest_framework.test import APIClient

from generation import catalog
from generation.prices import credits_for, price_table
from tests.generation.catalogs import like

DEAR = like("zoetrope", price={"credits_per_second": 30})


def test_prices_are_whole_credits_rounded_up() -> None:
    cheap = like("zoetrope", price={"credits_per_second": 3})
    assert [credits_for(cheap, size="tiny", seconds=seconds) for seconds in (0.5, 1, 1.1, 4)] == [2, 3, 4, 12]
    assert credits_for(like("still"), size="tiny", seconds=4) == 0


def test_sizes_cost_by_their_pixels_unless_the_catalog_says_more() -> None:
    wan = catalog.models()["wan2.2-i2v"]
    full = credits_for(wan, size=wan.default_size, seconds=5, preset="standard")
    smaller = next(size for size in wan.sizes if size.height == 480)
    usual = wan.size(wan.default_size)
    assert usual is not None
    share = smaller.width * smaller.height / (usual.width * usual.height)
    assert credits_for(wan, size=smaller.name, seconds=5, preset="standard") == pytest.approx(full * share, abs=1)
    named = like("zoetrope", price={"credits_per_second": 30, "sizes": {"tiny": 1.5}})
    assert credits_for(named, size="tiny", seconds=2) == 90


def test_presets_cost_by_their_steps_unless_the_catalog_says_more() -> None:
    draft = DEAR.preset("draft")
    assert draft is not None
    assert DEAR.sampling is not None
    assert draft.steps is not None
    share = draft.steps / DEAR.sampling.steps
    assert credits_for(DEAR, size="tiny", seconds=10, preset="draft") == round(300 * share)
    named = like("zoetrope", price={"credits_per_second": 30, "presets": {"draft": 0.1}})
    assert credits_for(named, size="tiny", seconds=10, preset="draft") == 30


def test_more_steps_cost_more_and_fewer_cost_no_less() -> None:
    assert DEAR.sampling is not None
    usual = DEAR.sampling.steps
    assert credits_for(DEAR, size="tiny", seconds=1, preset="standard", steps=2 * usual) == 60
    assert credits_for(DEAR, size="tiny", seconds=1, preset="standard", steps=1) == 30


def test_batches_are_cheaper() -> None:
    prices = {tier: credits_for(DEAR, size="tiny", seconds=1, tier=tier) for tier in ("paid", "free", "batch")}
    assert prices == {"paid": 30, "free": 30, "batch": 18}


def test_a_price_names_only_what_there_is() -> None:
    with pytest.raises(ValidationError, match=r"price\.sizes must be of tiny.*but names huge"):
        like("zoetrope", price={"credits_per_second": 1, "sizes": {"huge": 2}})


def test_the_table_is_what_prices_are_made_of() -> None:
    wan = catalog.models()["wan2.2-i2v"]
    table = price_table(wan)
    assert set(table.sizes) == {size.name for size in wan.sizes}
    assert set(table.presets) == {preset.name for preset in wan.presets}
    assert (table.sizes[wan.default_size], table.presets["standard"]) == (1.0, 1.0)
    for size, size_factor in table.sizes.items():
        for preset, preset_factor in table.presets.items():
            for tier, tier_factor in table.tiers.items():
                price = credits_for(wan, size=size, seconds=5, preset=preset, tier=tier)
                exact = table.credits_per_second * 5 * size_factor * preset_factor * tier_factor
                assert price == pytest.approx(exact, abs=1.01)


def test_the_api_tells_the_table(api: APIClient) -> None:
    found = {model["slug"]: model["price"] for model in api.get("/api/v1/models").json()}
    assert set(found) == set(catalog.models())
    assert found["zoetrope"] == {
        "credits_per_second": 3,
        "sizes": {"tiny": 1.0, "square": 0.5926},
        "presets": {"draft": 0.25, "standard": 1.0, "high": 2.0},
        "tiers": {"paid": 1.0, "free": 1.0, "batch": 0.6},
    }
