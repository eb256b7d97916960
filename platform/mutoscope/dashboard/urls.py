"""The creators' pages."""

from django.urls import path

from mutoscope.dashboard.views import (
    billing,
    create,
    downloads,
    jobs,
    library,
    mark,
    portraits,
    usage,
    verify,
    workspace,
)

app_name = "dashboard"
urlpatterns = [
    path("", create.create, name="create"),
    path("estimate", create.estimate, name="estimate"),
    path("upload", create.upload, name="upload"),
    path("portrait", portraits.needed_portrait, name="needed_portrait"),
    path("jobs", jobs.jobs, name="jobs"),
    path("jobs/<uuid:job_id>", jobs.job, name="job"),
    path("jobs/<uuid:job_id>/panel", jobs.job_panel, name="job_panel"),
    path("jobs/<uuid:job_id>/line", jobs.job_line, name="job_line"),
    path("jobs/<uuid:job_id>/cancel", jobs.cancel_job, name="cancel_job"),
    path("library", library.library, name="library"),
    path("library/<uuid:asset_id>/delete", library.delete_asset, name="delete_asset"),
    path("library/<uuid:asset_id>/downloads", downloads.downloads, name="downloads"),
    path("library/<uuid:asset_id>/renditions", downloads.make_rendition, name="make_rendition"),
    path("library/<uuid:asset_id>/reissue", downloads.reissue, name="reissue"),
    path("mark", mark.mark, name="mark"),
    path("mark/save", mark.save_mark, name="save_mark"),
    path("mark/preview", mark.preview_mark, name="preview_mark"),
    path("mark/remove", mark.remove_mark, name="remove_mark"),
    path("library/<uuid:asset_id>/portrait", portraits.check_portrait, name="check_portrait"),
    path("billing", billing.billing, name="billing"),
    path("billing/packs/<slug:slug>/buy", billing.buy_pack, name="buy_pack"),
    path("billing/plans/<slug:slug>/buy", billing.buy_plan, name="buy_plan"),
    path("billing/portal", billing.portal, name="portal"),
    path("usage", usage.usage, name="usage"),
    path("usage.csv", usage.usage_file, name="usage_file"),
    path("usage/entries", usage.entries, name="entries"),
    path("usage/receipts", usage.receipts, name="receipts"),
    path("verify", verify.verify, name="verify"),
    path("keys", workspace.keys, name="keys"),
    path("keys/create", workspace.create_key, name="create_key"),
    path("keys/<uuid:key_id>/revoke", workspace.revoke_key, name="revoke_key"),
    path("workspace", workspace.switch_workspace, name="switch_workspace"),
]
