"""Settings of GreenLLM: read from the environment, each with a safe local default (docs/settings.md).

Facts about a machine (embodied emissions, lifespan, carbon intensity, meters) are rows, not settings.
"""

from datetime import timedelta
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
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS", [])
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
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "axes",
    "servestatic",
    "django_htmx",
    "django_rq",
    "csp",
]

MIDDLEWARE = [
    "greenllm.static_files.StaticFiles",
    "greenllm.page_turns.PageTurns",  # so far on the event loop; all that follows, in a page's thread
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "greenllm.outages.OutageMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "greenllm.refusing_nul.RefuseNul",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "greenllm.acts.noting.NoteActs",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "greenllm.account.requiring.RequireSecondFactor",
    "axes.middleware.AxesMiddleware",  # the last, as it wants to be
]

ROOT_URLCONF = "greenllm.urls"
ASGI_APPLICATION = "greenllm.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "greenllm.ended_requests.DjangoTemplates",
        "NAME": "django",
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
RQ_SHOW_ADMIN_LINK = False  # `greenllm.admin` shows its pages to those who may
JOBS_AFTER_A_STUDY = ["router.lifecycle_jobs.advance_models"]  # put on the default queue when a study has finished
AROUND_JOBS = "greenllm.acts.programs.noting_job"  # given the name of a job, what the worker runs it within
WATCHES_PARTS = True  # admins see on every page which part is away
PERIODIC_JOBS = [  # and these now and then
    "greenllm.notices.jobs.check_campaigns",
    "router.erasing_jobs.erase_texts_of_requests",
    "router.erasing_jobs.drop_forgotten_vectors",
    *JOBS_AFTER_A_STUDY,
]

EMBEDDER_NAME = env.text("GREENLLM_EMBEDDER", "all-minilm")
EMBEDDER_HOST = env.http_address("GREENLLM_EMBEDDER_HOST", OLLAMA_HOST, default_port=OLLAMA_PORT)
EMBEDDED_TEXT = env.one_of("GREENLLM_EMBEDDED_TEXT", "item", ["item", "prompt"])  # what a new index embeds
EXACT_SEARCH_LIMIT = env.whole_number("GREENLLM_EXACT_SEARCH_LIMIT", 100_000, minimum=0, maximum=10_000_000)

# where servers that people name may be besides public addresses; those of the settings above may be anywhere
SERVER_NETWORKS = env.networks("GREENLLM_SERVER_NETWORKS", ["loopback"])
TRUSTED_SERVERS = (OLLAMA_HOST, EMBEDDER_HOST)

CONNECT_TIMEOUT_S = env.decimal_number("GREENLLM_CONNECT_TIMEOUT_S", 5.0, minimum=0.1)
FIRST_TOKEN_TIMEOUT_S = env.decimal_number("GREENLLM_FIRST_TOKEN_TIMEOUT_S", 300.0, minimum=0.1)
# of a prompt that waits for its decision; past it the fallback model answers
EMBEDDING_TIMEOUT_S = env.decimal_number("GREENLLM_EMBEDDING_TIMEOUT_S", 30.0, minimum=0.1)
GENERATION_TIMEOUT_S = env.decimal_number("GREENLLM_GENERATION_TIMEOUT_S", 1800.0, minimum=1.0)

# how many requests the endpoint sends to one inference server at once from one web process, how many wait in turn and
# how long, and how long a server that failed three times in a row is left alone
UPSTREAM_AT_ONCE = env.whole_number("GREENLLM_UPSTREAM_AT_ONCE", 512, minimum=1, maximum=100_000)
UPSTREAM_WAITING = env.whole_number("GREENLLM_UPSTREAM_WAITING", 256, minimum=0, maximum=100_000)
UPSTREAM_PATIENCE_S = env.decimal_number("GREENLLM_UPSTREAM_PATIENCE_S", 30.0, minimum=0.1)
UPSTREAM_REST_S = env.decimal_number("GREENLLM_UPSTREAM_REST_S", 10.0, minimum=0.1)

# about every how many requests of the endpoint one is measured with the meters of this machine; 0: none is
MEASURE_EVERY = env.whole_number("GREENLLM_MEASURE_EVERY", 0, minimum=0, maximum=1_000_000)

INTENSITY_TIMEOUT_S = env.decimal_number("GREENLLM_INTENSITY_TIMEOUT_S", 10.0, minimum=0.1)

# Who may read pages and ask the router without signing in: nobody, or callers on this very machine.
ANONYMOUS_ACCESS = env.one_of("GREENLLM_ANONYMOUS_ACCESS", "off", ["off", "loopback"])
# Whose pages may call the endpoint from a browser: origins as https://host:port, or * for every one; none by default.
CORS_ORIGINS = env.origins("GREENLLM_CORS_ORIGINS", [])
OWN_KEYS = env.flag("GREENLLM_OWN_KEYS", default=True)  # whether people may make keys for themselves, or admins alone
KEEP_PROMPT_TEXT = env.flag("GREENLLM_KEEP_PROMPT_TEXT", default=False)
KEEP_TEXT_DAYS = env.whole_number("GREENLLM_KEEP_TEXT_DAYS", 90, minimum=1, maximum=36_500)
# days after which conversations, and prompts kept with consent that nobody made known, are deleted; 0: never by itself
KEEP_CHAT_DAYS = env.whole_number("GREENLLM_KEEP_CHAT_DAYS", 0, minimum=0, maximum=36_500)
KEEP_CONSENTED_DAYS = env.whole_number("GREENLLM_KEEP_CONSENTED_DAYS", 0, minimum=0, maximum=36_500)
KEEP_WITH_CONSENT = env.flag("GREENLLM_KEEP_WITH_CONSENT", default=False)
# where the prompts go that chat clients send on their own (titles, tags): to the cheapest model, or as any other prompt
BACKGROUND_PROMPTS = env.one_of("GREENLLM_BACKGROUND_PROMPTS", "cheapest", ["cheapest", "routed"])
# whether whole answers are kept and given again: to the same request, and to a prompt like it
CACHE = env.one_of("GREENLLM_CACHE", "off", ["off", "exact", "semantic"])
CACHE_SHARED = env.flag("GREENLLM_CACHE_SHARED", default=False)
CACHE_ANY_TEMPERATURE = env.flag("GREENLLM_CACHE_ANY_TEMPERATURE", default=False)
CACHE_SECONDS = env.decimal_number("GREENLLM_CACHE_SECONDS", 86_400.0, minimum=1.0)
CACHE_ENTRIES = env.whole_number("GREENLLM_CACHE_ENTRIES", 10_000, minimum=1, maximum=1_000_000)
CACHE_DISTANCE = env.decimal_number("GREENLLM_CACHE_DISTANCE", 0.01, minimum=0.0)
# who may scrape /metrics from elsewhere than this machine, and where several web processes count together
METRICS_TOKEN = env.text("GREENLLM_METRICS_TOKEN", "")
METRICS_DIR = env.folder("PROMETHEUS_MULTIPROC_DIR")
# whether requests are told as OpenTelemetry's spans; its exporter reads the other OTEL_ variables itself
OTLP_ENDPOINT = env.text("OTEL_EXPORTER_OTLP_ENDPOINT", "")
OTEL = env.flag("GREENLLM_OTEL", default=bool(OTLP_ENDPOINT))
OTEL_SERVICE_NAME = env.text("OTEL_SERVICE_NAME", "greenllm")
BUNDLE_UPLOAD_MB = env.whole_number("GREENLLM_BUNDLE_UPLOAD_MB", 512, minimum=1, maximum=100_000)
# the pages that take files, and how large one may be there in MB; whatever is sent elsewhere may have 8 MB
UPLOAD_PAGES_MB = {"/studies/import/": BUNDLE_UPLOAD_MB, "/label/exchange/": 100}
STALL_HOURS = env.decimal_number("GREENLLM_STALL_HOURS", 24.0, minimum=0.1)
ALLOW_WEAK_SANDBOX = env.flag("GREENLLM_ALLOW_WEAK_SANDBOX", default=False)

AUTH_USER_MODEL = "greenllm.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "greenllm.roles.RoleBackend"]
# whose word about the address of a client counts: proxies in front, by their own addresses; none by default
TRUSTED_PROXIES = env.words("GREENLLM_TRUSTED_PROXIES", [])
# from one address, of each web process; 0: whatever comes
WRONG_KEYS_PER_MINUTE = env.whole_number("GREENLLM_WRONG_KEYS", 30, minimum=0, maximum=1_000_000)
AXES_FAILURE_LIMIT = 5  # wrong passwords for one name from one address, after which signing in rests
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]  # by the name alone, anybody could keep an admin out
AXES_LOCKOUT_CALLABLE = "greenllm.account.locking.locked"
AXES_CLIENT_IP_CALLABLE = "greenllm.account.locking.address_of"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_DISABLE_ACCESS_LOG = True  # who signed in when is nobody's business
AXES_VERBOSE = False
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
# who may do nothing without a second factor
SECOND_FACTOR = env.one_of("GREENLLM_SECOND_FACTOR", "admins" if SECURE_HTTPS else "off", ["admins", "off"])
ACCOUNT_ADAPTER = "greenllm.account.adapting.AccountAdapter"
MFA_ADAPTER = "greenllm.account.adapting.MFAAdapter"
MFA_FORMS = {
    "authenticate": "greenllm.account.adapting.SignInForm",
    "reauthenticate": "greenllm.account.adapting.ConfirmForm",
}
MFA_TOTP_ISSUER = "GreenLLM"
MFA_TOTP_TOLERANCE = 1  # steps of 30 s that a clock may be off; a code counts once all the same
MFA_ALLOW_UNVERIFIED_EMAIL = True  # nobody's address is asked for
# wrong codes and guesses at them are counted for all web processes together, whether or not Valkey is there
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "greenllm_cache",
        "OPTIONS": {
            "MAX_ENTRIES": 1_000_000
        },  # past it Django drops some, and a code that was used would be good again
    }
}
SESSION_ENGINE = "greenllm.sessions"
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
    "formatters": {
        "line": {
            "()": "benchmarks.quiet_logs.QuietFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.text("LOG_LEVEL", "INFO")},
    "loggers": {
        "httpx": {"level": "WARNING"},
        "rq": {"level": "WARNING"},
        # uvicorn's own handlers would write errors of the application with all that they quote
        "uvicorn": {"handlers": ["stderr"], "propagate": False},
        "uvicorn.access": {"handlers": ["stderr"], "propagate": False},
    },
}
