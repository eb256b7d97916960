"""Parts that several tiny pipelines have in common."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

VOCABULARY = 272
"""Special tokens, one for each byte, and some room."""


def tokenizer(*, bos: bool = False, eos: bool = True, length: int = 512, more: tuple[str, ...] = ()) -> Any:
    """One token a byte: BPE without a single merge, so that no vocabulary has to be fetched."""
    specials = ["<pad>", "</s>", "<unk>", "<s>", *more]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*specials, *alphabet])}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    if bos or eos:
        inner.post_processor = processors.TemplateProcessing(
            single=("<s> " if bos else "") + "$A" + (" </s>" if eos else ""),
            special_tokens=[(token, vocabulary[token]) for token, used in (("<s>", bos), ("</s>", eos)) if used],
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        bos_token="<s>",
        model_max_length=length,
        padding_side="right",
        additional_special_tokens=list(more),
    )


def t5(width: int = 32, model: Any = T5EncoderModel, config: Any = T5Config) -> Any:
    """A text encoder of two layers."""
    torch.manual_seed(0)
    return model(
        config(
            vocab_size=VOCABULARY, d_model=width, d_kv=8, d_ff=37, num_layers=2, num_heads=4,
            feed_forward_proj="gated-gelu", pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
        )
    ).eval()  # fmt: skip
