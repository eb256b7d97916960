"""The order of a suite: a calm contest, then chaos, then time to recover, then the proof."""

from __future__ import annotations

import io
import logging
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from django.db import Error, close_old_connections
from PIL import Image

from generation.models import Job
from generation.workers import alive_workers
from tests.chaos import fairness, faults, proof, report
from tests.chaos.people import Crowd, People
from tests.chaos.recovery_times import recoveries
from tests.chaos.scene import Scene
from tests.chaos.setting import Services, Size
from tests.chaos.stories import Breach, stories

PATIENCE = 240.0
"""Seconds after the last fault within which every job must have ended."""
SETTLING = 30.0
"""Seconds after the last job's end within which nothing may be left over."""


def run(services: Services, seed: int, size: Size, families: Sequence[str]) -> int:
    """One suite; prints its report. Returns 0, or 1 where something that must hold does not."""
    began = time.monotonic()
    logging.disable(logging.ERROR)  # that services are away is known here: it is our doing

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)

    # A chance for each, so that a change in one part leaves the others' plans as they were.
    chance = random.Random(seed)
    scene = Scene(services, random.Random(chance.getrandbits(32)), size.workers, families)
    planned = faults.plan(random.Random(chance.getrandbits(32)), size)
    people = People(_picture(), families)
    wishes = people.wishes(random.Random(chance.getrandbits(32)), size.jobs, size.seconds)
    director = faults.Director(scene, planned, say)
    try:
        _let(Crowd(people, people.contest(size.rounds)))
        scene.open()
        _wait("the contest", fairness.is_decided, PATIENCE)
        say(f"the contest is decided ({Job.objects.count()} jobs); now {len(wishes)} jobs, {len(planned)} faults")
        crowd = Crowd(people, wishes)
        crowd.start()
        director.run()
        say("the last fault is healed")
        crowd.join()
        _wait("the end of all jobs", _all_ended, PATIENCE)
        say("all jobs have ended")
        _wait("the removal of what is left over", lambda: not list(proof.storage()), SETTLING)
        complaints = scene.close()
        _wait("the end of the last worker's reports", lambda: not alive_workers().exists(), SETTLING)
        say("everybody has gone home")
        left_over = [*complaints, *_left_over(scene)]
    finally:
        scene.kill_everything()
    told = stories()
    recovered = recoveries(told, director.journal)
    fair = fairness.of_contest()
    breaches = [*proof.every_breach(people.ledger), *(Breach("orphaned", sentence) for sentence in left_over)]
    breaches += [breach for recovery in recovered for breach in recovery.breaches()]
    if not fair.holds:
        breaches.append(Breach("wrong", f"the contest's lane was not shared by weight: {fair}"))
    result = report.Result(
        seed, time.monotonic() - began, told, people.ledger, director.journal, recovered, fair,
        report.sorted_out(breaches),
    )  # fmt: skip
    print("", *report.lines(result, scene), sep="\n", flush=True)
    return 1 if breaches else 0


def _let(crowd: Crowd) -> None:
    crowd.start()
    crowd.join()


def _all_ended() -> bool:
    return not Job.objects.filter(state__in=Job.ACTIVE).exists()


def _wait(what: str, done: Callable[[], bool], seconds: float) -> None:
    """Until it is so, or the time is over: what is missing then, the proof tells."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if done():
                return
        except Error:  # PostgreSQL is only just coming back
            close_old_connections()
        time.sleep(0.2)
    print(f"{what} did not come within {seconds:g} s", flush=True)


def _left_over(scene: Scene) -> list[str]:
    """Processes and files of workers that have gone home."""
    time.sleep(1)  # an engine notices by itself that its parent has ended
    processes = [f"the process {p.pid} runs on: {' '.join(p.cmdline())[:120]}" for p in scene.everybody()]
    scratch = Path(os.environ["MUTOSCOPE_VAR"]) / "tmp"
    # The folder that all workers share stays; it is empty then.
    files = [path for path in sorted(scratch.rglob("*")) if path.is_file() or path.parent != scratch]
    return processes + [f"{path} was left behind" for path in files]


def _picture() -> bytes:
    """A small picture that is not one flat colour."""
    content = io.BytesIO()
    Image.linear_gradient("L").resize((96, 72)).convert("RGB").save(content, "PNG")
    return content.getvalue()
