"""A program that sends files: it knows of the API and of HTTP, and nothing of ours."""

from __future__ import annotations

import io
import random
import wave
from dataclasses import dataclass
from typing import Any

import httpx

MIB = 2**20


def noise(size: int) -> bytes:
    """A sound (WAV) of exactly so many bytes, which no two parts of are alike."""
    target = io.BytesIO()
    with wave.open(target, "wb") as sound:
        sound.setparams((1, 2, 48_000, 0, "NONE", ""))
        sound.writeframes(random.Random(7).randbytes(size - 44))  # noqa: S311  repeatable
    return target.getvalue()


@dataclass
class Sender:
    """Speaks to the server at `address` with a key; nothing of it goes along with the parts."""

    address: str
    token: str

    def call(self, method: str, path: str, **body: Any) -> httpx.Response:
        return httpx.request(
            method,
            f"{self.address}/api/v1/uploads{path}",
            json=body if method == "POST" else None,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=20,
        )

    def announce(self, content: bytes, name: str = "file.png", **more: Any) -> dict[str, Any]:
        answer = self.call("POST", "", name=name, size_bytes=len(content), **more)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def send_parts(self, upload: dict[str, Any], content: bytes, numbers: set[int] | None = None) -> None:
        """Put those parts that `upload` has links for; with `numbers`, those of them alone. The last one first."""
        for part in reversed(upload["parts"]):
            if numbers is None or part["number"] in numbers:
                answer = put(part, piece(upload, part, content))
                assert answer.status_code == 200, answer.text

    def complete(self, upload: dict[str, Any]) -> httpx.Response:
        return self.call("POST", f"/{upload['id']}/complete")

    def sent(self, content: bytes, name: str = "file.png", **more: Any) -> dict[str, Any]:
        """Announced, sent and completed."""
        upload = self.announce(content, name, **more)
        self.send_parts(upload, content)
        answer = self.complete(upload)
        assert (answer.status_code, answer.json()["state"]) == (202, "inspecting"), answer.text
        return upload

    def state(self, upload: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/{upload['id']}").json()
        return found


def piece(upload: dict[str, Any], part: dict[str, Any], content: bytes) -> bytes:
    start = (part["number"] - 1) * upload["part_size_bytes"]
    return content[start : start + part["size_bytes"]]


def put(part: dict[str, Any], content: Any, **headers: str) -> httpx.Response:
    return httpx.put(part["url"], content=content, headers=part["headers"] | headers, timeout=20)
