"""The floor to hold the platform against: a Celery task that only counts, and nothing around it."""

from __future__ import annotations

import os

import redis
from celery import Celery

URL = os.environ["REDIS_URL"].removesuffix("/0") + "/9"
COUNTER = "bench:counted"

app = Celery("bare", broker=URL)
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1, task_default_queue="bare")
client = redis.Redis.from_url(URL)


@app.task
def count() -> None:
    client.incr(COUNTER)
