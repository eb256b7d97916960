"""Words as they are meant, however they are spelled: what blocked terms are looked for in."""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterator

LEET = {
    "0": "o",
    "1": "il",
    "3": "e",
    "4": "a",
    "5": "s",
    "7": "t",
    "8": "b",
    "@": "a",
    "$": "s",
    "!": "i",
    "+": "t",
}
"""Figures and signs that stand for letters inside words, and for which."""
READINGS = 16
"""So many ways to read a text are tried at most."""
_WORD = re.compile(r"[^\W_]+")
_SPELLED = re.compile(rf"(?=\S*[^\W\d_])[\w{re.escape(''.join(LEET))}]+")
_LONE = re.compile(r"\b[^\W\d_](?: [^\W\d_])+\b")
_DRAWN_OUT = re.compile(r"(.)\1{2,}")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""


def normalise(text: str) -> str:
    """Words in plain letters with one space between them: without case, accents, look-alikes, signs.

    The same however often it is applied. Compatibility forms (NFKC), invisible characters and marks on letters go;
    letters of other scripts become Latin only in words that mix scripts, so that a Russian word stays Russian.
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    text = "".join(char for char in text if unicodedata.category(char) != "Cf")
    text = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    text = unicodedata.normalize("NFKC", text)
    return " ".join(_in_one_script(word) for word in _WORD.findall(text))


def readings(text: str) -> list[str]:
    """The ways to read a text, each as `normalise` gives it: as it stands, and with its disguises off.

    Signs and figures inside words are read as letters, letters set apart are put together, letters drawn out are
    cut short.
    """
    found = dict.fromkeys(normalise(reading) for reading in [text, *_without_signs(text)])
    for plain in list(found):
        joined = _LONE.sub(lambda match: match[0].replace(" ", ""), plain)
        for short in (joined, _DRAWN_OUT.sub(r"\1", joined), _DRAWN_OUT.sub(r"\1\1", joined)):
            found.setdefault(short)
    return list(found)


def contains(reading: str, term: str) -> bool:
    """Whether the term, normalised, stands in the reading: as whole words, where the script has any."""
    if _UNSPACED.search(term):
        return term.replace(" ", "") in reading.replace(" ", "")
    return f" {term} " in f" {reading} "


def _without_signs(text: str) -> Iterator[str]:
    """The text with what stands for letters read as those; some stand for either of two."""
    text = unicodedata.normalize("NFKC", text).casefold()
    signs = [sign for sign in LEET if sign in text]
    for letters in itertools.islice(itertools.product(*(LEET[sign] for sign in signs)), READINGS if signs else 0):
        read_as = str.maketrans(dict(zip(signs, letters, strict=True)))
        yield _SPELLED.sub(lambda match, read_as=read_as: match[0].translate(read_as), text)  # type: ignore[misc]


def _in_one_script(word: str) -> str:
    """The word, with letters that only look Latin made so where it has Latin letters, too."""
    if word.isascii() or not any(char.isascii() and char.isalpha() for char in word):
        return word
    return "".join(_look_alikes().get(char, char) for char in word)


@functools.cache
def _look_alikes() -> dict[str, str]:
    """Letters of other scripts → the small Latin letter that they look like. By Unicode's table of confusables."""
    # 60 ms and 6 MB that only who checks a mixed word pays.
    from confusable_homoglyphs.confusables import confusables_data  # noqa: PLC0415

    return {
        char: twin["c"].lower()
        for char, twins in confusables_data.items()
        if len(char) == 1 and not char.isascii()
        for twin in twins
        if len(twin["c"]) == 1 and twin["c"].isascii() and twin["c"].isalpha()
    }
