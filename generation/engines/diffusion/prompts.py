"""What text encoders made of words, kept: the same words are never encoded twice in a row."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import torch

KEPT_BYTES = 2 * 2**30
"""Of encodings, in main memory: some hundreds of most models, two or three of LTX-2."""

Encoding = dict[str, Any]


class EncodedPrompts:
    """The latest encodings, by whatever they depend on."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Encoding] = OrderedDict()
        self.hits = 0

    def get(self, key: Hashable, encode: Callable[[], Encoding], device: torch.device) -> Encoding:
        """The encoding for the key, on the device; `encode` is called where it is not kept."""
        if key in self._kept:
            self._kept.move_to_end(key)
            self.hits += 1
        else:
            self._kept[key] = _moved(encode(), torch.device("cpu"))
            while len(self._kept) > 1 and sum(map(_size, self._kept.values())) > KEPT_BYTES:
                self._kept.popitem(last=False)
        return _moved(self._kept[key], device)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()


def _size(encoding: Encoding) -> int:
    return sum(part.nbytes for part in encoding.values() if isinstance(part, torch.Tensor))


def _moved(encoding: Encoding, device: torch.device) -> Encoding:
    return {name: part.to(device) if isinstance(part, torch.Tensor) else part for name, part in encoding.items()}
