"""The Celery app: one queue a lane, one for upkeep. How tickets are delivered is decided here, once.

The reasons are in `docs/decisions/0002-tickets-and-late-binding.md`.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mutoscope.settings")

UPKEEP_QUEUE = "upkeep"

app = Celery("mutoscope")
app.conf.update(
    broker_url=settings.REDIS_URL,
    broker_transport_options={
        # Lanes are served in the order the operator named them.
        "queue_order_strategy": "priority",
        "global_keyprefix": "",
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
    },
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    # Acknowledged when taken: a ticket lost with its worker is reissued from the database, and the broker's
    # visibility timeout has nothing to redeliver in the middle of a long job.
    task_acks_late=False,
    # A busy worker reserves nothing that an idle one could take.
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    worker_hijack_root_logger=False,
    task_create_missing_queues=False,
    task_default_queue=UPKEEP_QUEUE,
    beat_schedule={
        "recover": {
            "task": "generation.recover",
            "schedule": settings.RECOVERY_INTERVAL.total_seconds(),
            # A late round is as good as none: the next one does the same work.
            "options": {"queue": UPKEEP_QUEUE, "expires": settings.RECOVERY_INTERVAL.total_seconds()},
        },
    },
    beat_scheduler="celery.beat:Scheduler",
)
app.autodiscover_tasks(["generation"])


@app.on_after_finalize.connect
def _declare_lanes(sender: Celery, **kwargs: Any) -> None:
    """One queue a lane and no others: a ticket to a lane that does not exist is an error."""
    from generation.lanes import every_lane

    for lane in every_lane():
        sender.amqp.queues.add(str(lane))
    sender.amqp.queues.add(UPKEEP_QUEUE)


def run_worker(queues: list[str], *, name: str, beat: bool = False) -> None:
    """Consume the queues, one ticket at a time, until SIGTERM or Ctrl-C; then finish what is in hand.

    A thread, and not the process itself, works on the ticket, so that the consumer keeps answering the broker
    while a job runs for minutes.
    """
    worker = app.Worker(
        queues=queues,
        hostname=f"{name}@%h" if "@" not in name else name,
        pool="threads",
        concurrency=1,
        beat=beat,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    if worker.exitcode:
        raise SystemExit(worker.exitcode)
