"""The Celery app: one queue a lane, one for upkeep, one for media work. How tickets go is decided here, once.

The reasons are in `docs/decisions/0002-tickets-and-late-binding.md`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from celery.beat import EmbeddedService, ScheduleEntry, Scheduler
from celery.signals import setup_logging, worker_ready, worker_shutting_down
from celery.worker import state
from django.conf import settings
from django.db import close_old_connections
from kombu import Connection, Queue
from kombu.transport import redis

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mutoscope.settings")

log = logging.getLogger(__name__)

UPKEEP_QUEUE = "upkeep"
MEDIA_QUEUE = "media"
"""What takes seconds or minutes of a processor and no GPU: clips in other forms, files to be looked into."""
PACE_INTERVAL = 60.0
"""Seconds between measurements of how fast jobs go."""
WARNING_INTERVAL = 300.0
"""Seconds between looks at who has nearly used up a limit of the plan."""
RETENTION_ROUNDS = 6
"""Rounds of recovery to one of retention."""
BOOKS_INTERVAL = 60.0
"""Seconds between looks for credits that expire or come anew: each takes a batch, so that recovery can wait."""
CLIPS_INTERVAL = 600.0
"""Seconds between looks for clips that plans keep no longer: they are kept by days, and a look reads them all."""
UPLOADS_INTERVAL = 15.0
"""Seconds between looks for uploads that were not completed in time, or whose ticket was lost."""
SWEEP_INTERVAL = 600.0
"""Seconds between looks for what uploads have left in the storage, which is asked what it holds."""
TICK = 1.0
"""Seconds between the calls of `on_tick`."""

SEND_TIMEOUT = 1.0
"""Seconds that sending or counting tickets may wait for the broker; consumers wait longer."""
RECONNECT_INTERVAL = 3.0
"""Seconds between tries at a broker that is away."""


class _Channel(redis.Channel):
    """Kombu asks connections that it has let go of for the server's address, and falls over that there is none.

    Told as what it is, a connection that was lost, it is made anew, and the worker lives on.
    """

    def _connparams(self, *args: Any, **options: Any) -> Any:
        if getattr(self.connection, "client", None) is None:
            raise ConnectionError("the connection to the broker has been closed")
        return super()._connparams(*args, **options)  # type: ignore[misc]  # kombu's types leave it out


class _Transport(redis.Transport):
    Channel = _Channel


class _Connection(Connection):
    """Celery's own pauses grow to half a minute, for which a broker that is back would still be waited for."""

    def get_transport_cls(self) -> type[redis.Transport]:
        return _Transport

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        return super().ensure_connection(*args, **{"interval_max": RECONNECT_INTERVAL} | options)


class _AMQP(AMQP):
    Connection = _Connection


class _App(Celery):
    """Whoever sends a ticket has better things to do than to wait for a broker that is silent: it is reissued."""

    def connection_for_write(self, url: str | None = None, **options: Any) -> Connection:
        patience = {"socket_timeout": SEND_TIMEOUT, "socket_connect_timeout": SEND_TIMEOUT}
        return super().connection_for_write(url, transport_options=patience, **options)


app = _App("mutoscope", amqp=_AMQP)


class HereAndNow(Scheduler):
    """A clock that does what falls due itself, instead of sending it through the broker.

    So recovery and deadlines do not wait for a broker that is away. Tasks on the schedule are safe to run twice at
    once: each upkeep process has a clock.
    """

    producer = None  # type: ignore[assignment]  # the broker is not asked for anything

    def apply_entry(self, entry: ScheduleEntry, producer: object = None) -> None:
        try:
            self.app.tasks[str(entry.task)]()
        except Exception:
            log.exception("%s failed; it is done again in its next round", entry.task)
        finally:
            close_old_connections()


def _configuration() -> dict[str, Any]:
    # Imported when the configuration is first used: by then a catalog that breaks a rule has been reported.
    from generation.scheduling.lanes import every_lane

    every_round = settings.RECOVERY_INTERVAL.total_seconds()
    return {
        "broker_url": settings.REDIS_URL,
        "broker_transport_options": {
            # Lanes are served in the order the operator named them.
            "queue_order_strategy": "priority",
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            # Whoever submits does not wait for a broker that is away: the ticket is reissued.
            "connect_retries_timeout": 0.5,
            "interval_start": 0.1,
            "interval_max": 0.1,
        },
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # for ever: a worker outlives a broker that is away for hours
        # One queue a lane and no others: a ticket to a lane that does not exist is an error.
        "task_queues": [Queue(name) for name in [*map(str, every_lane()), UPKEEP_QUEUE, MEDIA_QUEUE]],
        "task_create_missing_queues": False,
        "task_default_queue": UPKEEP_QUEUE,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        # Acknowledged when taken: a ticket lost with its worker is reissued from the database, and the
        # broker's visibility timeout has nothing to redeliver in the middle of a long job.
        "task_acks_late": False,
        "worker_prefetch_multiplier": 1,
        "beat_scheduler": HereAndNow,
        "beat_schedule": {
            "recover": {"task": "generation.recover", "schedule": every_round},
            "measure_pace": {"task": "generation.measure_pace", "schedule": PACE_INTERVAL},
            "warn_of_limits": {"task": "generation.warn_of_limits", "schedule": WARNING_INTERVAL},
            "retain": {"task": "generation.retain", "schedule": every_round * RETENTION_ROUNDS},
            "keep_books": {"task": "billing.keep_books", "schedule": BOOKS_INTERVAL},
            "settle_payments": {"task": "billing.settle_payments", "schedule": BOOKS_INTERVAL},
            "tend_uploads": {"task": "generation.tend_uploads", "schedule": UPLOADS_INTERVAL},
            "sweep_uploads": {"task": "generation.sweep_uploads", "schedule": SWEEP_INTERVAL},
            "retire_clips": {"task": "generation.retire_clips", "schedule": CLIPS_INTERVAL},
        },
    }


app.add_defaults(_configuration)


@setup_logging.connect
def _keep_logging(**kwargs: Any) -> None:
    """Logging is set up by Django; with a receiver here, Celery leaves it alone."""


app.autodiscover_tasks(["generation", "billing"])


def run_worker(
    queues: list[str],
    *,
    name: str,
    beat: bool = False,
    on_stop: Callable[[], None] | None = None,
    on_tick: Callable[[], None] | None = None,
) -> None:
    """Consume the queues, one ticket at a time, until SIGTERM or Ctrl-C; then finish what is in hand.

    The solo pool works on the ticket in the consumer's own loop: while a job runs nothing more is fetched, and
    the moment it ends the next ticket is (a pool of one thread would wait for the loop's next tick, up to a
    second). What the blocked loop cannot do meanwhile, other parts do: leases are kept by a thread, hung
    engines are killed by their parent, and a broker connection that was dropped is made anew.

    `on_stop` is called from the signal handler, in the middle of whatever the main thread does: it may do no more
    than take note. `on_tick` is called every second between tickets, by the loop.
    """
    worker = app.Worker(
        queues=queues,
        hostname=f"{name}@%h" if "@" not in name else name,
        pool="solo",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    if beat:
        # A thread, and not Celery's process: that one would go on for ever when this one is killed.
        EmbeddedService(app, thread=True, scheduler_cls=app.conf.beat_scheduler).start()  # type: ignore[union-attr]

    asked = False

    def stopping(**kwargs: Any) -> None:
        nonlocal asked
        asked = True
        if on_stop:
            on_stop()

    def ready(sender: Any, **kwargs: Any) -> None:
        if on_tick:
            sender.timer.call_repeatedly(TICK, on_tick)

    worker_shutting_down.connect(stopping)
    worker_ready.connect(ready)
    worker.start()
    if worker.exitcode and not asked:  # Celery takes Ctrl-C for a failure; who asked it to stop does not
        raise SystemExit(worker.exitcode)


def stop_consuming(exitcode: int) -> None:
    """End this worker process after the ticket in hand, as a signal would, with this exit code."""
    state.should_stop = exitcode  # type: ignore[assignment]  # None until somebody asks, as in Celery's own
