"""Encoded words are kept as long as there is room for them."""

from __future__ import annotations

import pytest
import torch

from generation.engines.diffusion import prompts
from generation.engines.diffusion.prompts import EncodedPrompts, Encoding

HERE = torch.device("cpu")


def encoding(value: float) -> Encoding:
    """Of 400 bytes."""
    return {"prompt_embeds": torch.full((100,), value, dtype=torch.float32), "negative_prompt_embeds": None}


def test_the_latest_are_kept_as_far_as_they_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "KEPT_BYTES", 1000)
    kept = EncodedPrompts()
    for key in ("a", "b", "a", "c"):
        kept.get(key, lambda: encoding(1), HERE)
    assert kept.hits == 1
    assert kept.get("a", lambda: encoding(2), HERE)["prompt_embeds"][0] == 1, "used later than b"
    assert kept.get("b", lambda: encoding(2), HERE)["prompt_embeds"][0] == 2, "there was no room for it"


def test_one_that_is_too_large_is_kept_until_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "KEPT_BYTES", 100)
    kept = EncodedPrompts()
    kept.get("a", lambda: encoding(1), HERE)
    assert kept.get("a", lambda: encoding(2), HERE)["prompt_embeds"][0] == 1
    kept.get("b", lambda: encoding(1), HERE)
    assert kept.get("a", lambda: encoding(3), HERE)["prompt_embeds"][0] == 3
