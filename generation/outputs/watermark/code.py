"""A mark as coded bits, and back: CRC-16 and a tail-biting convolutional code, decoded softly.

What is decoded need not be known before. Weaker marks can still be told among those that were ever issued: each is
compared with what was heard.

The code has rate 1/4 and constraint length 9 (generators 765, 671, 513, 473 octal, free distance 24). Tail-biting
spends no bits on an end state, which matters at 64 bits. It is decoded by the Viterbi algorithm run three times
around: after the first round it has forgotten where it began, and the middle one is read.
"""

from __future__ import annotations

import binascii
from functools import cache

import numpy as np
from numpy.typing import NDArray

MARK_BITS = 48
CHECK_BITS = 16
MESSAGE_BITS = MARK_BITS + CHECK_BITS
CODED_BITS = 4 * MESSAGE_BITS

_GENERATORS = (0o765, 0o671, 0o513, 0o473)
_STATES = 256
_ROUNDS = 3
_LOWER_BITS = 12
_AT_ONCE = 64
"""Rows of codewords: so the scores take a megabyte."""


def encode(mark: int) -> NDArray[np.int8]:
    """The mark's coded bits, as +1 for 0 and −1 for 1; shape (CODED_BITS,).

    Raises ValueError for a mark that does not fit into 48 bits.
    """
    if not 0 <= mark < 2**MARK_BITS:
        raise ValueError(f"a mark must be a whole number of at most {MARK_BITS} bits, but is {mark}")
    bits = _message(mark)
    register = _register_of(bits)
    return _signs()[register].reshape(-1)


def decode(soft: NDArray[np.float32]) -> list[int | None]:
    """The marks that the soft bits say; shape (n, CODED_BITS), positive for 0. None where the check fails.

    Soft bits count by their size, in any unit.
    """
    scores, choices = _viterbi(soft.reshape(len(soft), MESSAGE_BITS, 4))
    states = scores.argmax(axis=1)
    rows = np.arange(len(soft))
    bits = np.empty((len(soft), _ROUNDS * MESSAGE_BITS), np.uint8)
    for step in range(_ROUNDS * MESSAGE_BITS - 1, -1, -1):
        bits[:, step] = states & 1
        states = (states >> 1) | (choices[step][rows, states].astype(np.int64) << 7)
    return [_mark_of(message) for message in bits[:, MESSAGE_BITS : 2 * MESSAGE_BITS]]


def most_likely(soft: NDArray[np.float32], issued: int) -> list[tuple[int, int | None]]:
    """Of the marks 1 to `issued` the two that fit each row of soft bits best, the better one first.

    The second is None where only one was issued. `soft` has the shape (n, CODED_BITS), positive for 0. A million
    marks take about 0.02 s a row.
    """
    lower = _codewords(0, _LOWER_BITS)
    upper = _codewords(_LOWER_BITS, max(issued.bit_length() - _LOWER_BITS, 0))[: (issued >> _LOWER_BITS) + 1]
    best: list[list[tuple[float, int]]] = [[] for _ in soft]
    for first in range(0, len(upper), _AT_ONCE):
        offset = first << _LOWER_BITS
        for row, found in zip(soft, best, strict=True):
            # The code is linear: a mark's word is that of its lower bits times that of its upper ones.
            scores = ((upper[first : first + _AT_ONCE] * row) @ lower.T).reshape(-1)
            scores[: max(1 - offset, 0)] = scores[issued + 1 - offset :] = -np.inf
            for _ in range(min(2, issued)):
                at = int(scores.argmax())
                found.append((float(scores[at]), offset + at))
                scores[at] = -np.inf
            found[:] = sorted(found, reverse=True)[:2]
    return [(found[0][1], found[1][1] if len(found) > 1 else None) for found in best]


@cache
def _codewords(first_bit: int, bits: int) -> NDArray[np.float32]:
    """The coded bits of all marks that have only these bits, over those of 0 but for the first; a row a mark."""
    zero = encode(0).astype(np.float32)
    words = (np.ones_like(zero) if first_bit else zero)[None]
    for bit in range(first_bit, first_bit + bits):
        words = np.concatenate([words, words * encode(1 << bit) * zero])
    return words


def _message(mark: int) -> NDArray[np.uint8]:
    body = mark.to_bytes(MARK_BITS // 8, "big")
    return np.unpackbits(np.frombuffer(body + _check(body), np.uint8))


def _mark_of(message: NDArray[np.uint8]) -> int | None:
    packed = np.packbits(message).tobytes()
    body, check = packed[: MARK_BITS // 8], packed[MARK_BITS // 8 :]
    return int.from_bytes(body, "big") if _check(body) == check else None


def _check(body: bytes) -> bytes:
    # Begun at all ones: else the mark 0 would be 64 zeros, which any stuck value spells.
    return binascii.crc_hqx(body, 0xFFFF).to_bytes(CHECK_BITS // 8, "big")


def _register_of(bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The nine bits that each step sees, its own last; the beginning sees the end."""
    return sum((np.roll(bits, back).astype(np.int64) << back for back in range(9)), np.zeros(len(bits), np.int64))


@cache
def _signs() -> NDArray[np.int8]:
    """What each register puts out: shape (512, 4), +1 for 0 and −1 for 1."""
    parity = [[(register & generator).bit_count() % 2 for generator in _GENERATORS] for register in range(512)]
    return (1 - 2 * np.array(parity)).astype(np.int8)


def _viterbi(soft: NDArray[np.float32]) -> tuple[NDArray[np.float32], list[NDArray[np.bool_]]]:
    """The score of each last state; for each step and state, whether the better way came from the upper half."""
    signs = _signs().astype(np.float32).T
    lower = np.repeat(np.arange(_STATES // 2), 2)
    scores = np.zeros((len(soft), _STATES), np.float32)
    choices = []
    for step in range(_ROUNDS * MESSAGE_BITS):
        gains = soft[:, step % MESSAGE_BITS] @ signs
        from_lower = scores[:, lower] + gains[:, :_STATES]
        from_upper = scores[:, lower + _STATES // 2] + gains[:, _STATES:]
        choices.append(from_upper > from_lower)
        scores = np.maximum(from_lower, from_upper)
    return scores, choices
