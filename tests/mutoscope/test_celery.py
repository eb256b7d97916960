"""How the platform talks to its broker, where Celery's own ways would not do."""

from __future__ import annotations

import pytest
from django.conf import settings

from mutoscope.celery import app


def test_a_connection_that_was_let_go_of_is_a_lost_one() -> None:
    connection = app.connection_for_write(settings.REDIS_URL)
    channel = connection.default_channel
    lost = connection.connection_errors + connection.channel_errors
    connection.transport.client = None  # as kombu leaves them behind when it gives up a connection
    channel._disconnect_pools()
    with pytest.raises(lost, match="has been closed"), channel.conn_or_acquire() as client:
        client.ping()
