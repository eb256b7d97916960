import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import generation.models.jobs
import generation.models.outputs
from django.conf import settings
from django.db import migrations, models


def first_mark(apps, schema_editor):
    """Plans that want a visible mark have one from the start; operators change it in the admin."""
    apps.get_model("generation", "VisibleMark").objects.create(workspace=None, text="Made with Mutoscope")


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("assets", "0002_outputs"),
        ("generation", "0009_what_reports_read"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(
            "CREATE SEQUENCE generation_job_mark MINVALUE 1 MAXVALUE 281474976710655 NO CYCLE",
            "DROP SEQUENCE generation_job_mark",
        ),
        migrations.AddField(
            model_name="job",
            name="format",
            field=models.CharField(default="mp4", help_text="Of the clip that is delivered.", max_length=20),
        ),
        migrations.AddField(
            model_name="job",
            name="is_reseeded",
            field=models.BooleanField(
                default=False, help_text="`seed` is another than was asked for: the first one made a broken clip."
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="loop",
            field=models.CharField(
                blank=True, help_text="How its end meets its beginning; empty: it does not.", max_length=10
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="mark",
            field=models.BigIntegerField(
                db_default=generation.models.jobs.NextMark(),
                editable=False,
                help_text="What the invisible watermark says: a number of at most 48 bits, from a sequence.",
                unique=True,
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="output_fps",
            field=models.PositiveIntegerField(
                blank=True, help_text="Frames a second that it is interpolated to; empty is `fps`.", null=True
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="quality",
            field=models.CharField(default="standard", help_text="How hard it is compressed.", max_length=10),
        ),
        migrations.AddField(
            model_name="job",
            name="sound",
            field=models.ForeignKey(
                blank=True,
                help_text="Laid under the clip; empty is the model's own, if it makes any.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="assets.asset",
            ),
        ),
        migrations.CreateModel(
            name="BlockedTerm",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("term", models.CharField(help_text="As normalised; whole words.", max_length=200)),
                (
                    "action",
                    models.CharField(
                        choices=[("refuse", "Refuse"), ("review", "put to an operator")],
                        default="refuse",
                        max_length=6,
                    ),
                ),
                ("note", models.TextField(blank=True, help_text="Why; people do not see it.")),
                ("is_on", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["term"],
                "constraints": [models.UniqueConstraint(fields=("term",), name="term_once")],
            },
        ),
        migrations.CreateModel(
            name="ClipCheck",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("attempt", models.PositiveIntegerField()),
                ("seed", models.BigIntegerField()),
                (
                    "verdict",
                    models.CharField(
                        choices=[("good", "Good"), ("doubtful", "Doubtful"), ("broken", "Broken")], max_length=8
                    ),
                ),
                (
                    "problems",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=40), blank=True, default=list, size=None
                    ),
                ),
                (
                    "measured",
                    models.JSONField(default=dict, help_text="Name → value; null where it does not apply."),
                ),
                ("checked_at", models.DateTimeField()),
                (
                    "asset",
                    models.OneToOneField(
                        blank=True,
                        help_text="The clip; empty: it was not kept.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="quality",
                        to="assets.asset",
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="clip_checks",
                        to="generation.job",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [models.Index(fields=["verdict", "-id"], name="clip_check_verdict")],
                "constraints": [models.UniqueConstraint(fields=("job", "attempt"), name="clip_checked_once")],
            },
        ),
        migrations.CreateModel(
            name="Review",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("kind", models.CharField(choices=[("prompt", "Prompt"), ("picture", "Picture")], max_length=7)),
                (
                    "digest",
                    models.CharField(
                        help_text="SHA-256 of the normalised prompt, or of the picture.", max_length=64
                    ),
                ),
                ("text", models.TextField(blank=True)),
                ("reasons", models.JSONField(default=list, help_text="What moderation found.")),
                (
                    "moderator",
                    models.CharField(help_text="Which moderation found it, with its version.", max_length=60),
                ),
                ("times_asked", models.PositiveIntegerField(default=1)),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "Open"), ("allowed", "Allowed"), ("refused", "Refused")],
                        default="open",
                        max_length=7,
                    ),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("note", models.TextField(blank=True, help_text="The operator's; people do not see it.")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "decided_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "picture",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reviews",
                        to="assets.asset",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reviews",
                        to="accounts.workspace",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(condition=models.Q(("state", "open")), fields=["-id"], name="review_open")
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "kind", "digest"), name="reviewed_once"),
                    models.CheckConstraint(
                        condition=models.Q(("state", "open"), ("decided_at__isnull", False), _connector="OR"),
                        name="review_has_decision",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="VisibleMark",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("is_on", models.BooleanField(default=True)),
                (
                    "text",
                    models.CharField(blank=True, help_text="Drawn where there is no picture.", max_length=60),
                ),
                (
                    "picture",
                    models.FileField(
                        blank=True,
                        help_text="PNG, may be see-through.",
                        max_length=255,
                        upload_to=generation.models.outputs._picture_place,
                    ),
                ),
                (
                    "position",
                    models.CharField(
                        choices=[
                            ("top_left", "Top Left"),
                            ("top_right", "Top Right"),
                            ("bottom_left", "Bottom Left"),
                            ("bottom_right", "Bottom Right"),
                            ("center", "Center"),
                        ],
                        default="bottom_right",
                        max_length=12,
                    ),
                ),
                (
                    "size",
                    models.FloatField(
                        default=0.22,
                        help_text="Width of the mark, as a share of the frame's.",
                        validators=[
                            django.core.validators.MinValueValidator(0.05),
                            django.core.validators.MaxValueValidator(1.0),
                        ],
                    ),
                ),
                (
                    "opacity",
                    models.FloatField(
                        default=0.6,
                        validators=[
                            django.core.validators.MinValueValidator(0.1),
                            django.core.validators.MaxValueValidator(1.0),
                        ],
                    ),
                ),
                (
                    "drifts",
                    models.BooleanField(
                        default=False, help_text="It wanders over the frame, so that it cannot be cropped off."
                    ),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "workspace",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="visible_mark",
                        to="accounts.workspace",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("workspace", None)),
                        fields=("workspace",),
                        name="one_operator_mark",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("text", ""), _negated=True),
                            models.Q(("picture", ""), _negated=True),
                            _connector="OR",
                        ),
                        name="mark_shows_something",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("opacity__gte", 0.1), ("opacity__lte", 1.0), ("size__gte", 0.05), ("size__lte", 1.0)
                        ),
                        name="mark_can_be_seen",
                    ),
                ],
            },
        ),
        migrations.RunPython(first_mark, migrations.RunPython.noop),
    ]
