"""Who asks for jobs: workspaces on two plans, programs that try until they know, people who change their minds."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import Error, close_old_connections

from assets.models import Asset
from assets.services import upload
from billing import grants
from billing.errors import LimitReached
from billing.models import Plan
from billing.services import subscribe
from generation import catalog, services
from generation.errors import AlreadyEnded, InvalidJob
from generation.services import JobRequest
from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import Access, access_by_session
from mutoscope.accounts.services import create_workspace
from mutoscope.clock import database_time

WORKSPACES = 12
CREDITS = 100_000
"""That each workspace is granted."""
LONG = 5.0
"""Seconds that a long job of a model with weights denoises, by its catalog: long enough for checkpoints."""
MOST_STEPS = 1000
"""Noise schedules have no more."""
CONTEST = "contest"
"""Idempotency keys of the jobs by which fairness is measured begin with it."""

TEMPERS: dict[str, float] = {
    "": 0.56,
    "long": 0.23,
    "oom": 0.03,
    "oom=always": 0.02,
    "leak=80": 0.03,
    "crash": 0.02,
    "hang": 0.01,
    "short": 0.02,
    "fail=user": 0.03,
    "fail=machine": 0.02,
    "fail=ours": 0.03,
}
"""What the prompts of the scripted engine's jobs ask for, and how often."""


@dataclass
class Wish:
    """A job to be asked for, `at` seconds after the beginning; `cancel_after` seconds later it is not wanted.

    It may begin `starts_in` seconds after it was asked for, and must have ended `ends_in` seconds after.
    """

    at: float
    key: str
    workspace: int
    request: JobRequest
    cancel_after: float | None = None
    starts_in: float | None = None
    ends_in: float | None = None

    def dated(self) -> JobRequest:
        """The request as it is sent now, and sent again where there was no answer."""
        now = database_time()
        return replace(
            self.request,
            not_before=now + timedelta(seconds=self.starts_in) if self.starts_in else None,
            deadline=now + timedelta(seconds=self.ends_in) if self.ends_in else None,
        )


@dataclass
class Ledger:
    """What the platform has promised: the proof holds it against what became of it."""

    accepted: dict[str, UUID] = field(default_factory=dict)
    """Idempotency key → the job that was answered."""
    cancelled: set[UUID] = field(default_factory=set)
    """Jobs whose cancelling was answered with yes, or with no answer at all."""
    refused: int = 0
    """Times that a plan's limit said: later."""


class People:
    """Everybody who has an account."""

    def __init__(self, picture: bytes, families: Sequence[str]) -> None:
        self.families = families
        # A limit that stands until midnight would end the test, not the faults: those that pass stay.
        Plan.objects.update(seconds_per_day=None, seconds_per_month=None)
        plans = [Plan.objects.get(slug="studio"), Plan.objects.get(slug="free")]
        self.members: list[tuple[Access, Asset, Plan]] = []
        for number in range(WORKSPACES):
            user = User.objects.create(email=f"person-{number}@example.org", name=f"Person {number}")
            workspace = create_workspace(user, f"Workspace {number}")
            plan = plans[number % 3 > 0]  # a third pays
            subscribe(workspace, plan)
            grants.grant(workspace.pk, CREDITS, reason="more than all jobs cost")
            access = access_by_session(user, {})
            assert access is not None
            asset = upload(access, SimpleUploadedFile("still.png", picture, "image/png"))
            self.members.append((access, asset, plan))
        self.ledger = Ledger()

    def contest(self, rounds: int) -> list[Wish]:
        """Jobs of equal size from each workspace to one lane, all there before the first is served.

        Each has more of them than it is due before the heaviest has had its `rounds`.
        """
        heaviest = max(plan.weight for _, _, plan in self.members)
        return [
            self._wish(0, f"{CONTEST}-{number}-{n}", number, "pause=0.01", seed=n, steps=10, tier="free")
            for number, (_, _, plan) in enumerate(self.members)
            for n in range(rounds * plan.weight // heaviest + (plan.weight < heaviest) * 2)
        ]

    def wishes(self, chance: random.Random, jobs: int, seconds: float) -> list[Wish]:
        """So many jobs over so many seconds: half at random moments, half in bursts."""
        found = []
        bursts = [chance.uniform(0, seconds * 0.9) for _ in range(max(2, jobs // 30))]
        tempers = self._tempers(chance, jobs)
        for number, temper in enumerate(tempers):
            at = chance.uniform(0, seconds) if number % 2 else chance.choice(bursts) + chance.random()
            if temper == "hang":  # it takes the longest of all to fail as often as it may
                at *= 0.3
            elif temper.endswith(" long"):  # `faults.DenoisingKilled` lies in wait for them
                at = chance.uniform(seconds / 2, seconds)
            found.append(self._random_wish(chance, at, f"job-{number}", temper))
        return sorted(found, key=lambda wish: wish.at)

    def ask(self, wish: Wish) -> None:
        """Submit until there is an answer: the same key makes sure that it is one job."""
        access, request = self.members[wish.workspace][0], None
        while True:
            try:
                request = request or wish.dated()
                job = services.submit(access, request, idempotency_key=wish.key)
            except InvalidJob:
                if not wish.ends_in:
                    raise
                self.ledger.refused += 1  # its deadline passed before it was accepted
                return
            except LimitReached:
                self.ledger.refused += 1
                time.sleep(1)
            except Error:
                time.sleep(0.3)
            else:
                self.ledger.accepted[wish.key] = job.pk
                return
            finally:
                close_old_connections()

    def cancel(self, wish: Wish) -> None:
        access, job_id = self.members[wish.workspace][0], self.ledger.accepted[wish.key]
        while True:
            try:
                services.cancel(access, job_id)
            except AlreadyEnded:
                return
            except Error:
                self.ledger.cancelled.add(job_id)  # it may have been done
                time.sleep(0.3)
            else:
                self.ledger.cancelled.add(job_id)
                return
            finally:
                close_old_connections()

    def _tempers(self, chance: random.Random, jobs: int) -> list[str]:
        """Each at least once, else as often as `TEMPERS` says; jobs of other engines are called by their model."""
        others = {"preview": 0.15}
        for family in self.families:
            others |= {family: 0.05, f"{family} long": 0.05}
        usual = [*TEMPERS, *others, *others, *(temper for temper in others if temper.endswith(" long"))]
        shares = [0.75 * share for share in TEMPERS.values()]
        rest = chance.choices([*others, *TEMPERS], [*others.values(), *shares], k=max(0, jobs - len(usual)))
        found = [*usual, *rest]
        chance.shuffle(found)
        return found

    def _random_wish(self, chance: random.Random, at: float, key: str, temper: str) -> Wish:
        number = chance.randrange(WORKSPACES)
        plan = self.members[number][2]
        cancel_after = chance.uniform(0, 6) if chance.random() < 0.08 else None
        # Few different ones, so that many jobs must give the very same clip.
        seed = chance.randrange(4)
        tier = chance.choice(plan.tiers)
        starts_in, ends_in = None, None
        if cancel_after is None and chance.random() < 0.12:
            starts_in, ends_in = chance.choice([(chance.uniform(2, 8), None), (None, chance.uniform(4, 30))])
        if temper == "preview":
            request = JobRequest(
                model="preview",
                picture=self.members[number][1].pk,
                prompt=chance.choice(["slow push in", "pan left"]),
                size="480p-1-1",
                seconds=1,
                seed=seed,
                tier=tier,
            )
            return Wish(at, key, number, request, cancel_after, starts_in, ends_in)
        family, _, length = temper.partition(" ")
        if family in self.families:
            model = catalog.models()[family]
            steps = min(MOST_STEPS, round(LONG / model.speed.seconds_per_step)) if length else 8
            request = JobRequest(
                model=family,
                picture=self.members[number][1].pk,
                prompt="" if model.prompt.use == "ignored" else "a gradient turns",
                seed=seed,
                steps=steps,
                tier=tier,
            )
            if length:  # it is to be broken off, and to go on
                return Wish(at, key, number, request)
            return Wish(at, key, number, request, cancel_after, starts_in, ends_in)
        if temper == "long":
            prompt, steps = "pause=0.15", chance.choice([24, 48])
        else:
            prompt, steps = f"{temper} pause=0.03".strip(), chance.choice([8, 20])
        wish = self._wish(at, key, number, prompt, seed=seed, steps=steps, tier=tier, i2v=chance.random() < 0.5)
        wish.cancel_after, wish.starts_in, wish.ends_in = cancel_after, starts_in, ends_in
        return wish

    def _wish(
        self, at: float, key: str, number: int, prompt: str, *, seed: int, steps: int, tier: str, i2v: bool = False
    ) -> Wish:
        return Wish(
            at,
            key,
            number,
            JobRequest(
                model="still",
                mode="i2v" if i2v else "t2v",
                picture=self.members[number][1].pk if i2v else None,
                prompt=prompt,
                seconds=1,
                steps=steps,
                seed=seed,
                tier=tier,
            ),
        )


class Crowd:
    """Lets wishes come true at their time, on a few threads, as requests do."""

    THREADS = 4

    def __init__(self, people: People, wishes: Iterable[Wish]) -> None:
        self._people = people
        self._due: list[tuple[float, Callable[[Wish], None], Wish]] = []
        for wish in wishes:
            self._due.append((wish.at, people.ask, wish))
            if wish.cancel_after is not None:
                self._due.append((wish.at + wish.cancel_after, people.cancel, wish))
        self._due.sort(key=lambda due: -due[0])
        self._guard = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, name=f"crowd-{n}", daemon=True) for n in range(self.THREADS)
        ]
        self.errors: list[BaseException] = []

    def start(self) -> None:
        self._beginning = time.monotonic()
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Return when all have been answered. Raises what went wrong on a thread."""
        for thread in self._threads:
            thread.join()
        if self.errors:
            raise self.errors[0]

    def _run(self) -> None:
        try:
            while True:
                with self._guard:
                    if not self._due:
                        return
                    at, act, wish = self._due.pop()
                time.sleep(max(0.0, self._beginning + at - time.monotonic()))
                if act == self._people.cancel:
                    self._wait_until_asked(wish)
                act(wish)
        except BaseException as error:  # noqa: BLE001  told by `join`, on the thread that asks
            self.errors.append(error)

    def _wait_until_asked(self, wish: Wish) -> None:
        while wish.key not in self._people.ledger.accepted and not self.errors:
            time.sleep(0.1)
