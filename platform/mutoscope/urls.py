"""Where everything is found. Live streams and local files are before Django: see `mutoscope.asgi`."""

from django.contrib import admin
from django.urls import include, path

from mutoscope.operations.planner import planner
from mutoscope.operations.verify import verify

admin.autodiscover()

urlpatterns = [
    path("api/v1/", include("mutoscope.api.urls")),
    path("admin/planner/", admin.site.admin_view(planner), name="admin-planner"),
    path("admin/verify/", admin.site.admin_view(verify), name="admin-verify"),
    path("admin/", admin.site.urls),
    path("account/", include("allauth.account.urls")),
    path("", include("mutoscope.dashboard.urls")),
]

handler400 = "mutoscope.api.errors.bad_request"
handler403 = "mutoscope.api.errors.permission_denied"
handler404 = "mutoscope.api.errors.page_not_found"
handler500 = "mutoscope.api.errors.server_error"
