"""Tokenizers made from nothing, so that no vocabulary has to be fetched: one token a byte."""

from __future__ import annotations

from typing import Any

from diffusers.pipelines.hunyuan_video import pipeline_hunyuan_video_image2video
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

IMAGE_TOKEN = 4
"""The first token that is not one of the tokenizer's own."""
TEMPLATE_WORDS = ("<image>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "system", "\n\n")
PICTURE_TEMPLATE: dict[str, Any] = pipeline_hunyuan_video_image2video.DEFAULT_PROMPT_TEMPLATE
"""What HunyuanVideo puts around a prompt that is read together with a picture."""


def tokenizer(*, bos: bool = False, eos: bool = True, length: int = 512, more: tuple[str, ...] = ()) -> Any:
    """BPE without a single merge. `more` are words that are one token each."""
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


def llama_tokenizer(template: dict[str, Any]) -> Any:
    """A tokenizer for which what stands before the prompt is as many tokens as for HunyuanVideo's own.

    The template's instruction is one token, but for as many bytes at its end as are missing then.
    """
    before = template["template"].partition("{}")[0]
    instruction = max(before.split("\n"), key=len).partition("<|eot_id|>")[0]
    rest = tokenizer(bos=True, eos=False, more=(*TEMPLATE_WORDS, instruction))
    missing = template["crop_start"] - len(rest(before).input_ids)
    made = tokenizer(bos=True, eos=False, more=(*TEMPLATE_WORDS, instruction[:-missing]))
    assert len(made(before).input_ids) == template["crop_start"]
    return made
