"""/api/v1: no trailing slashes, no redirects."""

from django.urls import path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView
from rest_framework.routers import SimpleRouter

from billing.payments.webhook import StripeWebhookView
from generation.api.jobs import JobViewSet
from generation.api.marks import MarkView
from generation.api.models import ModelViewSet
from generation.api.planner import PlannerView
from generation.api.renditions import ReissueView, RenditionsView, RenditionView
from generation.api.usage import CreditsView, UsageFileView, UsageView
from generation.api.verify import VerifyView
from mutoscope.accounts.api import MeView, WorkspaceView
from mutoscope.api.assets import AssetViewSet
from mutoscope.api.uploads import UploadViewSet
from mutoscope.health import LiveView, ReadyView

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("models", ModelViewSet, basename="model")
router.register("assets", AssetViewSet, basename="asset")
router.register("uploads", UploadViewSet, basename="upload")
router.register("jobs", JobViewSet, basename="job")

urlpatterns = [
    path("me", MeView.as_view(), name="me"),
    path("workspace", WorkspaceView.as_view(), name="workspace"),
    path("workspace/mark", MarkView.as_view(), name="mark"),
    path("assets/<uuid:asset_id>/renditions", RenditionsView.as_view(), name="renditions"),
    path("assets/<uuid:asset_id>/renditions/<uuid:rendition_id>", RenditionView.as_view(), name="rendition"),
    path("assets/<uuid:asset_id>/reissue", ReissueView.as_view(), name="reissue"),
    path("planner", PlannerView.as_view(), name="planner"),
    path("billing/stripe/webhook", StripeWebhookView.as_view(), name="stripe-webhook"),
    path("usage", UsageView.as_view(), name="usage"),
    path("usage.csv", UsageFileView.as_view(), name="usage-file"),
    path("credits", CreditsView.as_view(), name="credits"),
    path("verify", VerifyView.as_view(), name="verify"),
    path("health", ReadyView.as_view(), name="health"),
    path("health/live", LiveView.as_view(), name="health-live"),
    path("schema", SpectacularJSONAPIView.as_view(), name="schema"),
    path("docs", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    *router.urls,
]
