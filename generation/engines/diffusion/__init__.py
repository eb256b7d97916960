"""What all engines share that run a diffusers pipeline.

`engine` serves a request in numbered steps; a family (`generation/engines/ltx.py` and its neighbours) says what is
its own: which pipeline, how words are encoded, what the pipeline is called with. `denoising` watches the loop from
outside, so that every pipeline can be cancelled, checkpointed and resumed without a line of its code copied.
"""

from generation.engines.diffusion.engine import DiffusionEngine

__all__ = ["DiffusionEngine"]
