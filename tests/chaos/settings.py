"""The platform's settings with a storage that can be told to refuse; everything else is as it is delivered."""

from mutoscope.settings import *  # noqa: F403  Django's way to build settings upon settings
from mutoscope.settings import STORAGES as _STORAGES

STORAGES = {**_STORAGES, "default": {"BACKEND": "tests.chaos.storage.RefusingStorage"}}
