"""Shares of the first plans."""

from django.db import migrations


def set_shares(apps, schema_editor):
    plan = apps.get_model("billing", "Plan")
    plan.objects.filter(slug="free").update(weight=1, concurrent_jobs=1)
    plan.objects.filter(slug="studio").update(weight=4, concurrent_jobs=8)


class Migration(migrations.Migration):
    dependencies = [("billing", "0003_fair_shares")]

    operations = [migrations.RunPython(set_shares, migrations.RunPython.noop)]
