"""What one clip takes, part by part: a pipeline watched from outside, whoever calls it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from bench.device import has_gpu, now
from generation.engines.diffusion.denoising import denoisers_of


class Stopwatch:
    """One clip. Parts are told apart where one gives way to the next; only there the GPU is waited for."""

    def __init__(self) -> None:
        self.forwards = 0
        self.words = 0.0
        """Seconds in encoders of words, or of the picture where there are no words."""
        self._began = now()
        self._denoises = self._decodes = self._handed_over = self._ended = 0.0
        self._ticks: list[Any] = []

    # --- What it is told ----------------------------------------------------------------------------------

    @contextmanager
    def watches(self, pipe: Any, owner: Any, encode: str) -> Iterator[None]:
        """While this is open: the pipeline's denoisers and decoder, and the method `encode` of `owner`."""
        decode, encoder = pipe.vae.decode, getattr(owner, encode)
        hooks = [part.register_forward_pre_hook(self._forward) for part in denoisers_of(pipe)]

        def decoded(*args: Any, **kwargs: Any) -> Any:
            self._decodes = self._decodes or now()
            return decode(*args, **kwargs)

        def encoded(*args: Any, **kwargs: Any) -> Any:
            began = now()
            made = encoder(*args, **kwargs)
            self.words += now() - began
            return made

        pipe.vae.decode = decoded
        setattr(owner, encode, encoded)
        try:
            yield
        finally:
            pipe.vae.decode = decode
            setattr(owner, encode, encoder)
            for hook in hooks:
                hook.remove()

    def step(self, *_: Any) -> None:
        """A step is done. The GPU is not waited for: it notes the time itself."""
        self._ticks.append(_tick())

    def made(self) -> None:
        """The pipeline has returned."""
        self._handed_over = now()

    def end(self) -> None:
        """The last frame has been handed over."""
        self._ended = now()

    def _forward(self, *_: Any) -> None:
        self.forwards += 1
        if self.forwards == 1:
            self._denoises = now()
            self._ticks = [_tick()]

    # --- What it says -------------------------------------------------------------------------------------

    def seconds(self, steps: int, forwards: float) -> dict[str, float]:
        """Of each part, of one step, and of a clip of so many steps with so many forwards in each.

        Steps that were not made are reckoned by the median of those that were, and forwards likewise. Where it is
        one of two, the lower: a step for which weights had to be fetched is none to reckon by.
        """
        made = self.step_seconds
        middle = statistics.median_low(made)
        step = middle * forwards / self.forwards_a_step
        parts = {
            "words_seconds": self.words,
            "prepare_seconds": self._denoises - self._began - self.words,
            "denoise_seconds": self._decodes - self._denoises - len(made) * middle + steps * step,
            "decode_seconds": self._handed_over - self._decodes,
            "hand_over_seconds": self._ended - self._handed_over,
        }
        return {"step_seconds": step, **parts, "clip_seconds": sum(parts.values())}

    @property
    def step_seconds(self) -> list[float]:
        """Of each step that was made."""
        return [_seconds(before, after) for before, after in pairwise(self._ticks)]

    @property
    def steps(self) -> int:
        """That were made."""
        return len(self._ticks) - 1

    @property
    def forwards_a_step(self) -> float:
        """Of the denoiser: guidance may take two."""
        return self.forwards / self.steps


def _tick() -> Any:
    if not has_gpu():
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _seconds(before: Any, after: Any) -> float:
    return float(after - before if isinstance(after, float) else before.elapsed_time(after) / 1000)


# --- Arithmetic ----------------------------------------------------------------------------------------------


class Arithmetic:
    """Floating-point operations of a pipeline's denoisers, as PyTorch's own attention and layers need them."""

    def __init__(self) -> None:
        self.forwards = 0
        self.operations = self.of_attention = 0.0

    @contextmanager
    def counts(self, pipe: Any) -> Iterator[None]:
        """While this is open. It costs time."""
        denoisers = denoisers_of(pipe)
        forwards = [part.forward for part in denoisers]
        for part in denoisers:
            part.forward = self._counted(part.forward)
        try:
            yield
        finally:
            for part, forward in zip(denoisers, forwards, strict=True):
                part.forward = forward

    def _counted(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            with FlopCounterMode(display=False, custom_mapping=ON_CPU) as counter:
                returned = forward(*args, **kwargs)
            self.forwards += 1
            self.operations += counter.get_total_flops()
            self.of_attention += sum(
                count
                for kernel, count in counter.get_flop_counts()["Global"].items()
                if "attention" in str(kernel)
            )
            return returned

        return counted

    def of_a_forward(self) -> tuple[float, float]:
        """Operations of one, and those of its attention."""
        return self.operations / self.forwards, self.of_attention / self.forwards


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    count: int = sdpa_flop_count(query, key, value)
    return count


ON_CPU = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}
"""PyTorch's counter knows the GPU's kernels alone."""
