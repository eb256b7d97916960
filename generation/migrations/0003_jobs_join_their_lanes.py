"""Jobs that wait while the platform is upgraded keep their places."""

from django.db import migrations

FILL_JOBS = """
UPDATE generation_job
SET deadline = created_at + interval '7 days',
    queued_at = CASE WHEN state = 'queued' THEN created_at END,
    failures = CASE WHEN state IN ('running', 'finishing') THEN greatest(attempt - 1, 0) ELSE attempt END
"""
FILL_FLOWS = """
INSERT INTO generation_flow (lane, workspace_id, tag, weight, waiting, waiting_ms, priority, oldest_at, throttled)
SELECT lane, workspace_id, 0, 1, count(*), sum(work_ms), 0, min(created_at), false
FROM generation_job WHERE state = 'queued' GROUP BY lane, workspace_id
"""


class Migration(migrations.Migration):
    dependencies = [("generation", "0002_lanes")]

    operations = [
        migrations.RunSQL(FILL_JOBS, migrations.RunSQL.noop),
        migrations.RunSQL(FILL_FLOWS, migrations.RunSQL.noop),
    ]
