"""Two plans to begin with; operators change them, and make others, in the admin."""

from django.db import migrations


def make_plans(apps, schema_editor):
    plan = apps.get_model("billing", "Plan")
    plan.objects.create(slug="free", name="Free", tiers=["free"], queued_jobs=10, is_default=True)
    plan.objects.create(slug="studio", name="Studio", tiers=["paid", "batch", "free"], queued_jobs=500)


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]

    operations = [migrations.RunPython(make_plans, migrations.RunPython.noop)]
