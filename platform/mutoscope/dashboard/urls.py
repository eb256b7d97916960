"""The creators' pages."""

from django.urls import path

from mutoscope.dashboard.views import billing, create, deletion, jobs, library, usage, workspace

app_name = "dashboard"
urlpatterns = [
    path("", create.create, name="create"),
    path("estimate", create.estimate, name="estimate"),
    path("upload", create.upload, name="upload"),
    path("jobs", jobs.jobs, name="jobs"),
    path("jobs/<uuid:job_id>", jobs.job, name="job"),
    path("jobs/<uuid:job_id>/panel", jobs.job_panel, name="job_panel"),
    path("jobs/<uuid:job_id>/line", jobs.job_line, name="job_line"),
    path("jobs/<uuid:job_id>/cancel", jobs.cancel_job, name="cancel_job"),
    path("library", library.library, name="library"),
    path("library/<uuid:asset_id>/delete", library.delete_asset, name="delete_asset"),
    path("trash", library.trash_page, name="trash"),
    path("trash/empty", library.empty_trash, name="empty_trash"),
    path("trash/<uuid:asset_id>/restore", library.restore_asset, name="restore_asset"),
    path("trash/<uuid:asset_id>/discard", library.discard_asset, name="discard_asset"),
    path("billing", billing.billing, name="billing"),
    path("billing/packs/<slug:slug>/buy", billing.buy_pack, name="buy_pack"),
    path("billing/plans/<slug:slug>/buy", billing.buy_plan, name="buy_plan"),
    path("billing/portal", billing.portal, name="portal"),
    path("usage", usage.usage, name="usage"),
    path("usage.csv", usage.usage_file, name="usage_file"),
    path("usage/entries", usage.entries, name="entries"),
    path("usage/receipts", usage.receipts, name="receipts"),
    path("keys", workspace.keys, name="keys"),
    path("keys/create", workspace.create_key, name="create_key"),
    path("keys/<uuid:key_id>/revoke", workspace.revoke_key, name="revoke_key"),
    path("workspace", workspace.switch_workspace, name="switch_workspace"),
    path("workspace/delete", deletion.delete_workspace, name="delete_workspace"),
    path("account/delete", deletion.delete_account, name="delete_account"),
]
