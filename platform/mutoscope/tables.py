"""Files that operators write in TOML: every value is checked, no key is unknown, and every problem is named."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError


class Table(BaseModel):
    """A table of such a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TableError(Exception):
    """Files break rules; each of `problems` names the file, the key, the rule and the value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


T = TypeVar("T", bound=Table)


def read(path: Path, shape: type[T]) -> T:
    """The file as a table of this shape. Raises `TableError` with all its problems."""
    try:
        return shape.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TableError([f"{path.name}: not TOML: {error}"]) from error
    except ValidationError as error:
        raise TableError(
            [problem(path, line["loc"], line["msg"], line["input"]) for line in error.errors()]
        ) from error


def problem(path: Path, key: tuple[int | str, ...], rule: str, value: object) -> str:
    """What is wrong with a value, in a sentence."""
    where = ".".join(str(part) for part in key) or "the whole file"
    given = "" if isinstance(value, dict) else f", but is {value!r}"
    return f"{path.name}: {where}: {rule}{given}"
