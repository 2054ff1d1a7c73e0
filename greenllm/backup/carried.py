"""The settings that a backup tells of, so that whoever restores it sees what was set otherwise there.

No secret and no address leaves the installation: these belong to a place, not to what is kept there.
"""

from typing import Any

from django.conf import settings

# variable of the environment: its name in `settings`
CARRIED = {
    "GREENLLM_MACHINE": "MACHINE_NAME",
    "GREENLLM_DATABASE_POOL": "DATABASE_POOL_SIZE",
    "GREENLLM_EMBEDDER": "EMBEDDER_NAME",
    "GREENLLM_EMBEDDED_TEXT": "EMBEDDED_TEXT",
    "GREENLLM_EXACT_SEARCH_LIMIT": "EXACT_SEARCH_LIMIT",
    "GREENLLM_EMBEDDING_TIMEOUT_S": "EMBEDDING_TIMEOUT_S",
    "GREENLLM_CONNECT_TIMEOUT_S": "CONNECT_TIMEOUT_S",
    "GREENLLM_FIRST_TOKEN_TIMEOUT_S": "FIRST_TOKEN_TIMEOUT_S",
    "GREENLLM_GENERATION_TIMEOUT_S": "GENERATION_TIMEOUT_S",
    "GREENLLM_UPSTREAM_AT_ONCE": "UPSTREAM_AT_ONCE",
    "GREENLLM_UPSTREAM_WAITING": "UPSTREAM_WAITING",
    "GREENLLM_UPSTREAM_PATIENCE_S": "UPSTREAM_PATIENCE_S",
    "GREENLLM_UPSTREAM_REST_S": "UPSTREAM_REST_S",
    "GREENLLM_MEASURE_EVERY": "MEASURE_EVERY",
    "GREENLLM_INTENSITY_TIMEOUT_S": "INTENSITY_TIMEOUT_S",
    "GREENLLM_ANONYMOUS_ACCESS": "ANONYMOUS_ACCESS",
    "GREENLLM_CORS_ORIGINS": "CORS_ORIGINS",
    "GREENLLM_OWN_KEYS": "OWN_KEYS",
    "GREENLLM_WRONG_KEYS": "WRONG_KEYS_PER_MINUTE",
    "GREENLLM_KEEP_WITH_CONSENT": "KEEP_WITH_CONSENT",
    "GREENLLM_KEEP_PROMPT_TEXT": "KEEP_PROMPT_TEXT",
    "GREENLLM_KEEP_TEXT_DAYS": "KEEP_TEXT_DAYS",
    "GREENLLM_KEEP_CHAT_DAYS": "KEEP_CHAT_DAYS",
    "GREENLLM_KEEP_CONSENTED_DAYS": "KEEP_CONSENTED_DAYS",
    "GREENLLM_BACKGROUND_PROMPTS": "BACKGROUND_PROMPTS",
    "GREENLLM_CACHE": "CACHE",
    "GREENLLM_CACHE_SHARED": "CACHE_SHARED",
    "GREENLLM_CACHE_ANY_TEMPERATURE": "CACHE_ANY_TEMPERATURE",
    "GREENLLM_CACHE_SECONDS": "CACHE_SECONDS",
    "GREENLLM_CACHE_ENTRIES": "CACHE_ENTRIES",
    "GREENLLM_CACHE_DISTANCE": "CACHE_DISTANCE",
    "GREENLLM_BUNDLE_UPLOAD_MB": "BUNDLE_UPLOAD_MB",
    "GREENLLM_STALL_HOURS": "STALL_HOURS",
    "GREENLLM_ALLOW_WEAK_SANDBOX": "ALLOW_WEAK_SANDBOX",
    "GREENLLM_HTTPS": "SECURE_HTTPS",
    "GREENLLM_SECOND_FACTOR": "SECOND_FACTOR",
    "ALLOWED_HOSTS": "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS": "CSRF_TRUSTED_ORIGINS",
    "DEFAULT_FROM_EMAIL": "DEFAULT_FROM_EMAIL",
    "EMAIL_USE_TLS": "EMAIL_USE_TLS",
    "DEBUG": "DEBUG",
}
# secrets, addresses that may hold one, and what is of the place: folders, ports, the log
LEFT_BEHIND = {
    "SECRET_KEY", "SECRET_KEY_FALLBACKS",
    "GREENLLM_METRICS_TOKEN", "EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD", "ELECTRICITY_MAPS_API_KEY",
    "DATABASE_URL", "REDIS_URL", "CHROMA_URL", "OLLAMA_HOST", "GREENLLM_EMBEDDER_HOST", "EMAIL_HOST", "EMAIL_PORT",
    "OTEL_EXPORTER_OTLP_ENDPOINT", "GREENLLM_OTEL", "OTEL_SERVICE_NAME", "PROMETHEUS_MULTIPROC_DIR", "GREENLLM_VAR",
    "GREENLLM_SERVER_NETWORKS",
    "GREENLLM_WEB_PORT", "GREENLLM_CHROMA_PORT", "GREENLLM_LLM_PORT", "GREENLLM_SHARED_MEMORY",
    "GREENLLM_STATIC_ROOT", "GREENLLM_TRUSTED_PROXIES", "LOG_LEVEL",
}  # fmt: skip


def carried_settings() -> dict[str, Any]:
    """Return the value of each carried setting by the name of its variable, as JSON holds it."""
    return {variable: getattr(settings, name) for variable, name in CARRIED.items()}


def differing_settings(stated: dict[str, Any]) -> list[str]:
    """Return a sentence for each carried setting that has another value there than here."""
    return [
        f"{variable} was {stated[variable]!r} there, and is {value!r} here."
        for variable, value in carried_settings().items()
        if variable in stated and stated[variable] != value
    ]
