"""Typed readers for the environment, and the rule for what production must set.

A value comes from `NAME`, or from the file that `NAME_FILE` points to (Docker and Kubernetes secrets). In local
mode what is missing gets a safe local default; in production it stops the start with a sentence naming it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.FileAwareEnv()

BASE_DIR = Path(__file__).resolve().parents[2]
if (BASE_DIR / ".env").is_file():
    env.read_env(BASE_DIR / ".env")

VAR_DIR = Path(os.environ.get("MUTOSCOPE_VAR", BASE_DIR / "var")).resolve()
"""Everything this checkout writes: database, media, logs, local secrets."""

MODES = ("local", "production")
MODE = env.str("MUTOSCOPE_MODE", default="local")
if MODE not in MODES:
    raise ImproperlyConfigured(f"MUTOSCOPE_MODE must be one of {', '.join(MODES)}, but is {MODE!r}.")
PRODUCTION = MODE == "production"


def required(name: str, *, local: str, why: str) -> str:
    """The setting `name`; in local mode `local` where it is not set; in production it must be set."""
    value = str(env.str(name, default=""))
    if value:
        return value
    if PRODUCTION:
        raise ImproperlyConfigured(f"{name} is not set, and production needs it: {why}")
    return local


def whole(name: str, *, default: int) -> int:
    """A whole number. Raises ImproperlyConfigured with the rule and the value for anything else."""
    try:
        return int(env.int(name, default=default))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number, but is {env.str(name)!r}.") from error


def seconds(name: str, *, default: float) -> timedelta:
    """A length of time, given in seconds. Raises ImproperlyConfigured for anything else."""
    try:
        return timedelta(seconds=env.float(name, default=default))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a number of seconds, but is {env.str(name)!r}.") from error


def money(name: str, *, default: str) -> Decimal:
    """An amount of money, above 0. Raises ImproperlyConfigured for anything else."""
    given = str(env.str(name, default=default))
    try:
        amount = Decimal(given)
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or amount <= 0:
        raise ImproperlyConfigured(f"{name} must be an amount above 0, such as {default}, but is {given!r}.")
    return amount


def _token() -> str:
    return secrets.token_urlsafe(48)


def local_secret(name: str, make: Callable[[], str] = _token) -> str:
    """A secret of this checkout, made once under `var/secrets/` and readable by its owner alone."""
    path = VAR_DIR / "secrets" / name
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f"{name}.{secrets.token_hex(8)}")
        draft.touch(mode=0o600)
        try:
            draft.write_text(make())
            os.link(draft, path)  # fails when another process was first: then its secret is the one
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()
