"""Visible marks: the operator's on clips of plans that want one, and a workspace's own."""

from generation.outputs.visible.marks import digest_of, overlays_for

__all__ = ["digest_of", "overlays_for"]
