from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="workspace",
            name="deleted_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="workspace",
            name="emptied_at",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="Since when no more of it is left than the books need.",
                null=True,
            ),
        ),
        migrations.AddIndex(
            model_name="workspace",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", False)), fields=["deleted_at"], name="workspace_deleted"
            ),
        ),
        migrations.AddConstraint(
            model_name="workspace",
            constraint=models.CheckConstraint(
                condition=models.Q(("emptied_at", None), ("deleted_at__isnull", False), _connector="OR"),
                name="workspace_emptied_was_deleted",
            ),
        ),
    ]
