"""A pace for each preset: what a draft takes says little about a standard clip."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("generation", "0007_credits_and_costs")]

    operations = [
        migrations.RemoveConstraint(model_name="pace", name="pace_once"),
        migrations.AddConstraint(
            model_name="pace",
            constraint=models.UniqueConstraint(
                fields=["model", "preset", "size", "frames", "precision", "gpu"], name="pace_once"
            ),
        ),
    ]
