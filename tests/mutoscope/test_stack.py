"""`make up` and `make demo`: all comes up, all goes down, and what is wrong is said in a sentence."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from mutoscope.media import probe
from tests.conftest import BASE_DIR, wait_for

pytestmark = pytest.mark.processes


@pytest.fixture
def home(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a fresh checkout. Whatever of it runs at the end was forgotten."""
    ours = {"DATABASE_URL", "REDIS_URL", "MEDIA_ROOT", "CATALOG_FOLDERS", "DJANGO_SETTINGS_MODULE"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    var = str(tmp_path / "v")
    yield {**kept, "MUTOSCOPE_VAR": var, "PYTHONUNBUFFERED": "1"}
    forgotten = of_home(var)
    for process in forgotten:
        process.kill()
    assert not forgotten


def of_home(var: str) -> list[psutil.Process]:
    """Every process that lives on this `var/`: ours by their environment, the services by their arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = [*process.cmdline(), process.environ().get("MUTOSCOPE_VAR", ""), process.cwd()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(word == var or f"{var}/" in word for word in words):
            found.append(process)
    return found


def start(home: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(BASE_DIR / "manage.py"), *arguments], env=home, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    said = ""
    while text not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


def test_up_serves_until_ctrl_c_and_there_is_one_of_it(home: dict[str, str]) -> None:
    port = free_port()
    up = start(home, "up", "--port", str(port))
    said = read_until(up, "Ctrl-C stops everything")
    assert f"http://127.0.0.1:{port}/" in said
    assert "operator@mutoscope.localhost" in said
    assert httpx.get(f"http://127.0.0.1:{port}/api/v1/health", timeout=20).status_code == 200

    second = start(home, "up", "--port", str(free_port()))
    answer, _ = second.communicate(timeout=60)
    assert second.returncode == 1
    assert f"this checkout is up already, at http://127.0.0.1:{port}" in answer
    assert "Traceback" not in answer
    assert httpx.get(f"http://127.0.0.1:{port}/api/v1/health", timeout=20).status_code == 200

    up.send_signal(signal.SIGINT)
    rest, _ = up.communicate(timeout=60)
    assert (up.returncode, rest.strip().splitlines()[-1]) == (0, "Everything is stopped.")
    assert of_home(home["MUTOSCOPE_VAR"]) == []


def test_what_a_killed_up_leaves_ends_by_itself(home: dict[str, str]) -> None:
    up = start(home, "up", "--port", str(free_port()))
    read_until(up, "Ctrl-C stops everything")
    children = [p for p in psutil.Process(up.pid).children(recursive=True) if "manage.py" in " ".join(p.cmdline())]
    assert {next(w for w in p.cmdline() if w in {"web", "upkeep", "media", "worker"}) for p in children} == {
        "web", "upkeep", "media", "worker",
    }  # fmt: skip
    up.kill()
    up.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    # The services wait for their next user, who is then the last one.
    next_user = start(home, "migrate", "--check")
    next_user.communicate(timeout=60)
    wait_for(lambda: not of_home(home["MUTOSCOPE_VAR"]), what="the end of everything")


def test_demo_makes_a_clip_and_leaves_nothing_running(home: dict[str, str], tmp_path: Path) -> None:
    demo = start(home, "demo", "--out", str(tmp_path / "out"))
    said, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0, said
    last = re.fullmatch(r"clip: (.+\.mp4)", said.strip().splitlines()[-1])
    assert last, said
    video = probe(last[1], strict=True).video
    assert video is not None
    assert (video.codec, video.pix_fmt, video.width, video.height, video.frames) == (
        "h264",
        "yuv420p",
        1280,
        720,
        96,
    )
    assert Path(last[1]).parent == tmp_path / "out"
    assert of_home(home["MUTOSCOPE_VAR"]) == []


def test_what_is_wrong_is_said_in_a_sentence(home: dict[str, str], tmp_path: Path) -> None:
    page, out = tmp_path / "picture.jpg", tmp_path / "out"
    page.write_bytes(b"<html></html>" * 20)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for arguments, sentence in {
            ("up", "--port", str(port)): f"port {port} is taken by another program; .* PORT={port + 1}",
            ("demo", "--image", "nowhere.jpg", "--out", str(out)): "there is no file nowhere.jpg; name a picture",
            ("demo", "--image", str(page), "--out", str(out)): "JPEG",
        }.items():
            process = start(home, *arguments)
            said, _ = process.communicate(timeout=90)
            assert process.returncode == 1, said
            assert re.search(sentence, said.strip().splitlines()[-1]), said
            assert "Traceback" not in said
            assert not out.exists()
            assert of_home(home["MUTOSCOPE_VAR"]) == []
