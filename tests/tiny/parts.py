"""Parts that several tiny pipelines have in common."""

from __future__ import annotations

from typing import Any

import torch
from transformers import T5Config, T5EncoderModel

VOCABULARY = 272
"""Special tokens, one for each byte, and some room."""


def t5(width: int = 32, model: Any = T5EncoderModel, config: Any = T5Config) -> Any:
    """A text encoder of two layers."""
    torch.manual_seed(0)
    return model(
        config(
            vocab_size=VOCABULARY, d_model=width, d_kv=8, d_ff=37, num_layers=2, num_heads=4,
            feed_forward_proj="gated-gelu", pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
        )
    ).eval()  # fmt: skip
