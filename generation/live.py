"""What happens to jobs, told while it happens: Redis publish/subscribe, one channel a job.

Nothing depends on these messages: whoever misses one reads the database.
"""

from __future__ import annotations

import json
import logging
from functools import cache
from typing import Any
from uuid import UUID

import redis
from django.conf import settings

log = logging.getLogger(__name__)

TIMEOUT = 1.0
"""Seconds that telling may take: whoever tells has more to do."""


def channel(job_id: UUID | str) -> str:
    """The channel on which a job's messages are published."""
    return f"mutoscope:job:{job_id}"


def publish(job_id: UUID, message: dict[str, Any]) -> None:
    """Tell whoever listens. A Redis that is away costs the message and nothing else."""
    try:
        _client().publish(channel(job_id), json.dumps(message))
    except redis.RedisError as error:
        log.warning("a live message of job %s was dropped: %s", job_id, error)


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
