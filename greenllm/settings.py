"""Settings of GreenLLM: read from the environment, each with a safe local default (docs/settings.md).

Facts about a machine (embodied emissions, lifespan, carbon intensity, meters) are rows, not settings.
"""

from pathlib import Path

import django_stubs_ext
from csp.constants import NONE, SELF

from greenllm import env
from greenllm.embedded.addresses import EmbeddedLayout

django_stubs_ext.monkeypatch()  # lets ModelAdmin, QuerySet and the like be subscripted, as the types need

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env.text("GREENLLM_VAR", str(BASE_DIR / "var"))).resolve()
EMBEDDED = EmbeddedLayout(
    var_dir=VAR_DIR,
    chroma_port=env.whole_number("GREENLLM_CHROMA_PORT", 8310, minimum=1, maximum=65535),
    llm_port=env.whole_number("GREENLLM_LLM_PORT", 11534, minimum=1, maximum=65535),
)
WEB_HOST = "127.0.0.1"
WEB_PORT = env.whole_number("GREENLLM_WEB_PORT", 8000, minimum=1, maximum=65535)

SECRET_KEY = env.secret_key("SECRET_KEY", VAR_DIR / "secret-key")
DEBUG = env.flag("DEBUG", default=False)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS", [])
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024  # as much as the endpoint reads (router.wire.MAX_BODY_BYTES)

INSTALLED_APPS = [
    "greenllm.apps.GreenllmConfig",
    "benchmarks.apps.BenchmarksConfig",
    "labeling.apps.LabelingConfig",
    "router.apps.RouterConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "servestatic",
    "django_htmx",
    "django_rq",
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "greenllm.urls"
ASGI_APPLICATION = "greenllm.asgi.application"

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
                "greenllm.navigation.navigation",
            ],
        },
    },
]

DATABASES = {"default": env.database("DATABASE_URL", EMBEDDED.database_url)}
DATABASES["default"]["CONN_MAX_AGE"] = 0  # under ASGI a kept connection is never given back (ticket 33497)
DATABASE_POOL_SIZE = env.whole_number("GREENLLM_DATABASE_POOL", 20, minimum=0, maximum=1000)  # of a web process
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

OLLAMA_PORT = 11434  # where Ollama listens unless told otherwise
REDIS_URL = env.text("REDIS_URL", EMBEDDED.redis_url)
CHROMA_URL = env.http_address("CHROMA_URL", EMBEDDED.chroma_url)
OLLAMA_HOST = env.http_address("OLLAMA_HOST", EMBEDDED.ollama_host, default_port=OLLAMA_PORT)

# The machine that a worker of this installation measures on, by its name in the table of machines.
MACHINE_NAME = env.text("GREENLLM_MACHINE", "local")
_QUEUE = {"URL": REDIS_URL, "DEFAULT_TIMEOUT": 3600}
RQ_QUEUES = {"default": _QUEUE, f"measure-{MACHINE_NAME}": _QUEUE}
RQ_SHOW_ADMIN_LINK = True
JOBS_AFTER_A_STUDY = ["router.lifecycle_jobs.advance_models"]  # put on the default queue when a study has finished
PERIODIC_JOBS = ["greenllm.notices.jobs.check_campaigns", *JOBS_AFTER_A_STUDY]  # and these now and then

EMBEDDER_NAME = env.text("GREENLLM_EMBEDDER", "all-minilm")
EMBEDDER_HOST = env.http_address("GREENLLM_EMBEDDER_HOST", OLLAMA_HOST, default_port=OLLAMA_PORT)
EMBEDDED_TEXT = env.one_of("GREENLLM_EMBEDDED_TEXT", "item", ["item", "prompt"])  # what a new index embeds
EXACT_SEARCH_LIMIT = env.whole_number("GREENLLM_EXACT_SEARCH_LIMIT", 100_000, minimum=0, maximum=10_000_000)

CONNECT_TIMEOUT_S = env.decimal_number("GREENLLM_CONNECT_TIMEOUT_S", 5.0, minimum=0.1)
FIRST_TOKEN_TIMEOUT_S = env.decimal_number("GREENLLM_FIRST_TOKEN_TIMEOUT_S", 300.0, minimum=0.1)
GENERATION_TIMEOUT_S = env.decimal_number("GREENLLM_GENERATION_TIMEOUT_S", 1800.0, minimum=1.0)

INTENSITY_TIMEOUT_S = env.decimal_number("GREENLLM_INTENSITY_TIMEOUT_S", 10.0, minimum=0.1)

# Who may read pages and ask the router without signing in: nobody, or callers on this very machine.
ANONYMOUS_ACCESS = env.one_of("GREENLLM_ANONYMOUS_ACCESS", "off", ["off", "loopback"])
KEEP_PROMPT_TEXT = env.flag("GREENLLM_KEEP_PROMPT_TEXT", default=False)
KEEP_WITH_CONSENT = env.flag("GREENLLM_KEEP_WITH_CONSENT", default=False)
BUNDLE_UPLOAD_MB = env.whole_number("GREENLLM_BUNDLE_UPLOAD_MB", 512, minimum=1, maximum=100_000)
STALL_HOURS = env.decimal_number("GREENLLM_STALL_HOURS", 24.0, minimum=0.1)
ALLOW_WEAK_SANDBOX = env.flag("GREENLLM_ALLOW_WEAK_SANDBOX", default=False)

AUTH_USER_MODEL = "greenllm.User"
AUTHENTICATION_BACKENDS = ["greenllm.roles.RoleBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_RESET_TIMEOUT = 3 * 24 * 3600  # seconds that an admin's link lets somebody set a password
LOGIN_URL = "account:sign-in"
LOGIN_REDIRECT_URL = "dashboards:home"
LOGOUT_REDIRECT_URL = "dashboards:home"

SECURE_HTTPS = env.flag("GREENLLM_HTTPS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_HTTPS
SECURE_SSL_REDIRECT = SECURE_HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if SECURE_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE_HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ["/admin/django_rq/"],  # its pages carry an inline script and style
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}

# Without a mail server no mail is sent: notices stand on the front page alone.
EMAIL_HOST = env.text("EMAIL_HOST", "")
EMAIL_PORT = env.whole_number("EMAIL_PORT", 25, minimum=1, maximum=65535)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", default=False)
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "greenllm@localhost")
EMAIL_TIMEOUT = 10  # seconds
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'dummy'}.EmailBackend"

STATIC_URL = "static/"
STATIC_ROOT = env.text("GREENLLM_STATIC_ROOT", "") or None  # only where a proxy shall serve a collected folder
SERVESTATIC_USE_FINDERS = True  # no collectstatic step between a clone and a page

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.text("LOG_LEVEL", "INFO")},
    "loggers": {
        "httpx": {"level": "WARNING"},
        "rq": {"level": "WARNING"},
    },
}
