import assets.models.assets
import assets.models.renditions
import django.db.models.deletion
import mutoscope.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("assets", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Rendition",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=mutoscope.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("format", models.CharField(max_length=20)),
                ("quality", models.CharField(max_length=10)),
                ("fps", models.PositiveIntegerField(blank=True, help_text="Empty is the clip's own.", null=True)),
                (
                    "width",
                    models.PositiveIntegerField(
                        blank=True, help_text="Pixels. Empty is the clip's own.", null=True
                    ),
                ),
                (
                    "loop",
                    models.CharField(
                        blank=True, help_text="How its end meets its beginning; empty: it does not.", max_length=10
                    ),
                ),
                (
                    "mark",
                    models.CharField(
                        blank=True,
                        help_text="Digest of the visible mark that it carries; empty is none.",
                        max_length=64,
                    ),
                ),
                (
                    "is_reissue",
                    models.BooleanField(
                        default=False, help_text="It is to take the place of the clip's own file."
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("making", "Making"),
                            ("ready", "Ready"),
                            ("failed", "Failed"),
                        ],
                        default="queued",
                        max_length=6,
                    ),
                ),
                ("lease_expires_at", models.DateTimeField(blank=True, null=True)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("error", models.TextField(blank=True)),
                ("file", models.FileField(blank=True, max_length=255, upload_to=assets.models.renditions._place)),
                ("media_type", models.CharField(blank=True, max_length=60)),
                ("size_bytes", models.BigIntegerField(default=0)),
                ("sha256", models.CharField(blank=True, max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("used_at", models.DateTimeField(auto_now_add=True, help_text="When it was last asked for.")),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Upload",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=mutoscope.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=255)),
                ("size_bytes", models.BigIntegerField(help_text="As announced: it must have exactly as many.")),
                ("part_bytes", models.BigIntegerField(help_text="Of each part but the last.")),
                (
                    "sha256",
                    models.CharField(
                        blank=True,
                        help_text="As announced, in hexadecimal; empty: it was not.",
                        max_length=64,
                    ),
                ),
                (
                    "multipart_id",
                    models.CharField(blank=True, help_text="The storage's own; empty: one part.", max_length=1024),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("inspecting", "Inspecting"),
                            ("ready", "Ready"),
                            ("refused", "Refused"),
                            ("abandoned", "Abandoned"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                (
                    "lease_expires_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Until then somebody inspects it, or it is let rest.",
                        null=True,
                    ),
                ),
                (
                    "attempts",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="How often it was taken up for inspection."
                    ),
                ),
                ("error_code", models.CharField(blank=True, max_length=40)),
                ("error", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.AddField(
            model_name="asset",
            name="discard_at",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="When its files are to go from storage; till then it can be restored.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="asset",
            name="discarded_at",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="Since when its files are gone from storage.", null=True
            ),
        ),
        migrations.AddField(
            model_name="asset",
            name="is_marked",
            field=models.BooleanField(default=False, help_text="`file` carries a visible mark."),
        ),
        migrations.AddField(
            model_name="asset",
            name="master",
            field=models.FileField(
                blank=True,
                help_text="The clip without visible mark, in high quality: what it is given in other forms from. Empty where `file` serves.",
                max_length=255,
                upload_to=assets.models.assets._place,
            ),
        ),
        migrations.AddField(
            model_name="asset",
            name="moderation",
            field=models.JSONField(
                blank=True, help_text="What moderation found; empty: not looked at.", null=True
            ),
        ),
        migrations.AddField(
            model_name="asset",
            name="portrait",
            field=models.JSONField(
                blank=True, help_text="Whether it will do as a portrait; empty: not asked.", null=True
            ),
        ),
        migrations.AddField(
            model_name="asset",
            name="poster",
            field=models.FileField(
                blank=True,
                help_text="One frame, full size.",
                max_length=255,
                upload_to=assets.models.assets._place,
            ),
        ),
        migrations.AddField(
            model_name="asset",
            name="preview",
            field=models.FileField(
                blank=True,
                help_text="Small, moving, silent.",
                max_length=255,
                upload_to=assets.models.assets._place,
            ),
        ),
        migrations.AddField(
            model_name="asset",
            name="provenance",
            field=models.JSONField(
                blank=True, default=dict, help_text="What the manifest signed into `file` says; empty is none."
            ),
        ),
        migrations.AddField(
            model_name="asset",
            name="strip",
            field=models.FileField(
                blank=True,
                help_text="Frames beside each other, for scrubbing.",
                max_length=255,
                upload_to=assets.models.assets._place,
            ),
        ),
        migrations.AddField(
            model_name="asset",
            name="strip_tiles",
            field=models.PositiveSmallIntegerField(default=0, help_text="Frames in the strip."),
        ),
        # Until now, deleting took the files away at once.
        migrations.RunSQL(
            "UPDATE assets_asset SET discard_at = deleted_at, discarded_at = deleted_at WHERE deleted_at IS NOT NULL",
            migrations.RunSQL.noop,
        ),
        migrations.AddIndex(
            model_name="asset",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", False), ("discarded_at", None)),
                fields=["discard_at"],
                name="asset_trash",
            ),
        ),
        migrations.AddConstraint(
            model_name="asset",
            constraint=models.CheckConstraint(
                condition=models.Q(("discarded_at", None), ("deleted_at__isnull", False), _connector="OR"),
                name="asset_discarded_was_deleted",
            ),
        ),
        migrations.AddConstraint(
            model_name="asset",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("deleted_at", None), ("discard_at", None)),
                    models.Q(("deleted_at__isnull", False), ("discard_at__isnull", False)),
                    _connector="OR",
                ),
                name="asset_in_trash_has_end",
            ),
        ),
        migrations.AddField(
            model_name="rendition",
            name="asset",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="renditions", to="assets.asset"
            ),
        ),
        migrations.AddField(
            model_name="upload",
            name="asset",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="upload",
                to="assets.asset",
            ),
        ),
        migrations.AddField(
            model_name="upload",
            name="created_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="upload",
            name="workspace",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="uploads", to="accounts.workspace"
            ),
        ),
        migrations.AddIndex(
            model_name="rendition",
            index=models.Index(
                condition=models.Q(("state__in", ["queued", "making"])), fields=["id"], name="rendition_open"
            ),
        ),
        migrations.AddIndex(
            model_name="rendition",
            index=models.Index(
                condition=models.Q(("state__in", ["ready", "failed"])), fields=["used_at"], name="rendition_used"
            ),
        ),
        migrations.AddConstraint(
            model_name="rendition",
            constraint=models.UniqueConstraint(
                fields=("asset", "format", "quality", "fps", "width", "loop", "mark", "is_reissue"),
                name="rendition_once",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="rendition",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "ready"), _negated=True),
                    models.Q(("file", ""), _negated=True),
                    _connector="OR",
                ),
                name="rendition_ready_has_file",
            ),
        ),
        migrations.AddConstraint(
            model_name="rendition",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "making"), _negated=True),
                    ("lease_expires_at__isnull", False),
                    _connector="OR",
                ),
                name="rendition_making_has_lease",
            ),
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(condition=models.Q(("state", "open")), fields=["expires_at"], name="upload_open"),
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(
                condition=models.Q(("state", "inspecting")), fields=["id"], name="upload_inspecting"
            ),
        ),
        migrations.AddConstraint(
            model_name="upload",
            constraint=models.CheckConstraint(
                condition=models.Q(("part_bytes__gt", 0), ("size_bytes__gt", 0)), name="upload_has_size"
            ),
        ),
    ]
