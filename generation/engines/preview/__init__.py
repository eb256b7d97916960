"""The preview engine: plays the camera move a prompt asks for over the still, on the CPU, with depth-like
parallax.

It is an animatic, not a diffusion model: nothing in the picture moves but the camera. A prompt is read into a
`Shot` (`moves`), the shot becomes a camera path (`path`), the still gets an estimated relief (`depth`), and a
pinhole camera that is kept inside the picture (`camera`) looks at it once a frame (`engine`).
"""

from generation.engines.preview.engine import PreviewEngine

__all__ = ["PreviewEngine"]
