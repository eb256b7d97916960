"""Shapes and constraints: what a library holds, other forms of its clips, and uploads under way."""

from assets.models.assets import Asset, folder_of
from assets.models.renditions import Rendition
from assets.models.uploads import Upload

__all__ = ["Asset", "Rendition", "Upload", "folder_of"]
