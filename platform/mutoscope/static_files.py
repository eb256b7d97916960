"""The pages' own files (CSS, scripts, icons), served before Django like everything that is only bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import PathLike, StaticFiles
from starlette.types import ASGIApp

from mutoscope.env import PRODUCTION


class _Gathered(StaticFiles):
    """Production: what `collectstatic` gathered. Names carry a hash of the content, so they may be kept."""

    def file_response(self, full_path: PathLike, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(full_path, *args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


class _WhereTheyLie(StaticFiles):
    """A checkout: each file from the app it belongs to, and looked at anew each time."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        found = finders.find(path)
        return (found, Path(found).stat()) if found else ("", None)

    def file_response(self, full_path: PathLike, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(full_path, *args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def static_files() -> ASGIApp:
    """The application for what is below `STATIC_URL`."""
    files = _Gathered(directory=settings.STATIC_ROOT, check_dir=False) if PRODUCTION else _WhereTheyLie()
    return GZipMiddleware(files, minimum_size=1000)
