"""The creators' pages."""

from django.urls import path

from mutoscope.dashboard.views import billing, create, jobs, library, uploads, usage, workspace

app_name = "dashboard"
urlpatterns = [
    path("", create.create, name="create"),
    path("estimate", create.estimate, name="estimate"),
    path("upload", uploads.upload, name="upload"),
    path("uploads", uploads.announce, name="announce_upload"),
    path("uploads/<uuid:upload_id>", uploads.outcome, name="upload_outcome"),
    path("uploads/<uuid:upload_id>/parts", uploads.parts, name="upload_parts"),
    path("uploads/<uuid:upload_id>/complete", uploads.complete, name="complete_upload"),
    path("uploads/<uuid:upload_id>/abandon", uploads.abandon, name="abandon_upload"),
    path("jobs", jobs.jobs, name="jobs"),
    path("jobs/<uuid:job_id>", jobs.job, name="job"),
    path("jobs/<uuid:job_id>/panel", jobs.job_panel, name="job_panel"),
    path("jobs/<uuid:job_id>/line", jobs.job_line, name="job_line"),
    path("jobs/<uuid:job_id>/cancel", jobs.cancel_job, name="cancel_job"),
    path("library", library.library, name="library"),
    path("library/<uuid:asset_id>/file", library.asset_file, name="asset_file"),
    path("library/<uuid:asset_id>/delete", library.delete_asset, name="delete_asset"),
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
]
