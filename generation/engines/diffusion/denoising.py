"""The denoising loop of any diffusers pipeline, watched from outside: progress, cancelling, checkpoints, resuming.

Every pipeline funnels its loop through two calls: the denoiser's and the scheduler's `step`. Both are wrapped
while a request is served. After a step everything that the rest of the clip depends on is: what the
schedulers returned, what they remember, and the state of the random numbers. To resume, the same call is made with
the same seed: whatever comes before the loop is computed again; during the steps that were done already the
denoiser computes nothing and the scheduler returns what was kept. No code of any pipeline is copied for it.
"""

from __future__ import annotations

import copy
import functools
import io
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import torch

from generation.engines import checkpoints as checkpoint_files
from generation.engines.base import Checkpoints, OnStep
from generation.engines.diffusion.step_cache import StepCache

DENOISERS = ("transformer", "transformer_2", "unet")
"""What pipelines call the parts that denoise."""

State = dict[str, Any]
Shapes = list[tuple[tuple[int, ...], torch.dtype]]
Copy = Callable[[torch.Tensor], torch.Tensor]


def denoisers_of(pipe: Any) -> list[Any]:
    """The parts of the pipeline that denoise."""
    return [part for name in DENOISERS if (part := getattr(pipe, name, None)) is not None]


class Denoising:
    """One run of the loop. `on_step`, `Checkpoints.due` and `Checkpoints.save` may raise to end it.

    `save` is called with the step and a function that gives the state as bytes. `begin_at` is such a state. With a
    `step_cache`, the step may be one of the latest ones (see there).
    """

    def __init__(
        self,
        pipe: Any,
        generator: torch.Generator,
        on_step: OnStep,
        checkpoints: Checkpoints,
        save: Callable[[int, Callable[[], bytes]], None],
        begin_at: State | None = None,
        step_cache: StepCache | None = None,
    ) -> None:
        self._pipe, self._generator = pipe, generator
        self._on_step, self._checkpoints, self._save = on_step, checkpoints, save
        self._begin_at, self._cache = begin_at, step_cache
        self._resumable: State | None = begin_at
        """With a step cache: the latest state that needs nothing of what the cache remembers."""
        self._perhaps: State | None = None
        """The state before this step, which is such a one if this step is computed in full."""
        self._spared: int = begin_at["step"] if begin_at else 0
        self._schedulers: list[Any] = []
        """In the order of their first steps; some pipelines use copies of their scheduler."""
        self._done: list[int] = []
        self._returned: dict[int, Any] = {}
        self._random: torch.Tensor | None = None
        self._shapes: list[Shapes] = list(begin_at["shapes"]) if begin_at else []
        """Of what the denoiser returns, by its calls in one step: guidance calls it again in other batches."""
        self._calls = 0
        self._asked_after = self._spared
        self.total = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While this is open, the pipeline's loop is this run's."""
        scheduler, kind = self._pipe.scheduler, type(self._pipe.scheduler)

        @functools.wraps(kind.step)  # pipelines look at its signature
        def step(scheduler: Any, *args: Any, **kwargs: Any) -> Any:
            return self._step(scheduler, kind.step, args, kwargs)

        # A class of its own, not an attribute: copies that a pipeline makes of its scheduler are watched, too.
        scheduler.__class__ = type(kind.__name__, (kind,), {"step": step, "__module__": kind.__module__})
        kinds = [(module, type(module)) for module in denoisers_of(self._pipe)]
        for module, kind_of_module in kinds:
            # Likewise a class and not `forward`: hooks that come and go while the loop runs replace that.
            call = self._call_of(kind_of_module)
            module.__class__ = type(
                kind_of_module.__name__,
                (kind_of_module,),
                {"__call__": call, "__module__": kind_of_module.__module__},
            )
        try:
            with self._cache.on() if self._cache else nullcontext():
                yield
        finally:
            scheduler.__class__ = kind
            for module, kind_of_module in kinds:
                module.__class__ = kind_of_module

    def _call_of(self, kind: type[torch.nn.Module]) -> Callable[..., Any]:
        def call(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
            return self._forward(module, functools.partial(kind.__call__, module, *args, **kwargs))

        return call

    # --- The scheduler's side -----------------------------------------------------------------------------

    def _step(self, scheduler: Any, real: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        which = self._number_of(scheduler)
        self._done[which] += 1
        step = self._done[which]
        self._calls = 0
        if step <= self._spared:
            return self._replayed(which, step, args)
        returned = real(scheduler, *args, **kwargs)
        self._returned[which] = returned
        # Now, not when a checkpoint is due: pipelines draw for the next step before they denoise it.
        self._random = self._generator.get_state()
        if which == 0:
            self.total = len(scheduler.timesteps)
            self._on_step(step, self.total)
        return returned

    def _number_of(self, scheduler: Any) -> int:
        for number, known in enumerate(self._schedulers):
            if known is scheduler:
                return number
        self._schedulers.append(scheduler)
        self._done.append(0)
        return len(self._schedulers) - 1

    def _replayed(self, which: int, step: int, args: Any) -> Any:
        """What the scheduler returned after the step that the state is from; before it nobody looks closely."""
        state = self._begin_at or {}
        device = next(arg.device for arg in args if isinstance(arg, torch.Tensor))
        kept = state["schedulers"][which]
        if step == self._spared:
            for name, value in kept["remembers"].items():
                setattr(self._schedulers[which], name, _unpacked(value, device))
            if which == len(state["schedulers"]) - 1:
                self._generator.set_state(state["random"])
                self._random = state["random"]
        returned = self._returned[which] = _unpacked(kept["returned"], device)
        return SimpleNamespace(**returned) if isinstance(returned, dict) else returned

    # --- The denoiser's side ------------------------------------------------------------------------------

    def _forward(self, denoiser: torch.nn.Module, real: Callable[[], Any]) -> Any:
        done, call = min(self._done, default=0), self._calls
        self._calls += 1
        if done < self._spared:
            device, shapes = self._pipe._execution_device, self._shapes[min(call, len(self._shapes) - 1)]
            return tuple(torch.zeros(shape, dtype=dtype, device=device) for shape, dtype in shapes)
        if done > self._asked_after:  # every scheduler has made its step, and the next one has not begun
            self._asked_after = done
            self._between_steps(done)
        returned = self._through_cache(self._cache, denoiser, done, real) if self._cache else real()
        made = returned if isinstance(returned, tuple) else (returned,)
        self._shapes[call : call + 1] = [
            [(tuple(part.shape), part.dtype) for part in made if isinstance(part, torch.Tensor)]
        ]
        return returned

    def _between_steps(self, done: int) -> None:
        if self._cache:
            here = self._state(done, torch.Tensor.clone)
            if self._cache.must_compute(done):
                self._resumable, self._perhaps = here, None
            else:
                self._perhaps = here
        if not self._checkpoints.due():
            return
        if self._resumable and self._cache:
            self._save(self._resumable["step"], functools.partial(_as_bytes, self._resumable))
        else:
            self._save(done, lambda: _as_bytes(self._state(done, _in_main_memory)))

    def _through_cache(
        self, cache: StepCache, denoiser: torch.nn.Module, done: int, real: Callable[[], Any]
    ) -> Any:
        returned, computed = cache.forward(denoiser, done, real)
        if computed and self._perhaps:
            self._resumable, self._perhaps = self._perhaps, None
        return returned

    def _state(self, step: int, copied: Copy) -> State:
        return {
            "step": step,
            "random": self._random,
            "shapes": list(self._shapes),
            "schedulers": [
                {
                    "returned": _packed(self._returned[number], copied),
                    "remembers": {
                        name: _packed(value, copied)
                        for name, value in vars(scheduler).items()
                        if name != "_internal_dict" and _can_be_kept(value)
                    },
                }
                for number, scheduler in enumerate(self._schedulers)
            ],
        }


def _as_bytes(state: State) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def read_state(content: bytes, step: int) -> State:
    """A state that `Denoising` has saved after `step`. Raises `EngineError` (checkpoint_unreadable)."""
    try:
        state: State = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        found = state["step"]
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, EOFError) as error:
        raise checkpoint_files.unreadable(f"it does not unpack: {error}") from error
    if found != step:
        raise checkpoint_files.unreadable(f"it must be from step {step}, but is from step {found}")
    return state


_WHERE = "on the accelerator"
"""Schedulers keep some tensors in main memory on purpose; each goes back to where it was."""


def _can_be_kept(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_can_be_kept, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_can_be_kept, value))
    return value is None or isinstance(value, (torch.Tensor, bool, int, float, str))


def _packed(value: Any, copied: Copy) -> Any:
    """A copy that `torch.load` takes with `weights_only`."""
    if isinstance(value, torch.Tensor):
        return {_WHERE: value.device.type != "cpu", "tensor": copied(value.detach())}
    if isinstance(value, dict):  # the outputs of schedulers are dictionaries, too
        return {key: _packed(item, copied) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_packed(item, copied) for item in value)
    return copy.copy(value)


def _in_main_memory(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to("cpu", copy=True)


def _unpacked(value: Any, device: torch.device) -> Any:
    if isinstance(value, dict):
        if _WHERE in value:
            return value["tensor"].to(device if value[_WHERE] else "cpu", copy=True)
        return {key: _unpacked(item, device) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_unpacked(item, device) for item in value)
    return value
