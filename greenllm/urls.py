"""Every URL of GreenLLM (docs/architecture.md lists them)."""

from django.contrib import admin
from django.urls import include, path

from greenllm.admin import sign_in
from greenllm.health import health
from greenllm.scraping import metrics

handler500 = "greenllm.outages.server_error"
urlpatterns = [
    path("dashboards/operations/", include("greenllm.operations.urls")),
    path("", include("greenllm.dashboards.urls")),
    path("label/", include("greenllm.quality.urls")),
    path("label/", include("greenllm.ordering.urls")),
    path("label/", include("labeling.urls")),
    path("studies/", include("greenllm.exports.urls")),
    path("studies/", include("greenllm.bundles.urls")),  # before the studies' own pages: import is no name
    path("studies/", include("greenllm.comparing.urls")),
    path("v1/health", health, name="api-health"),
    path("v1/", include("router.api.urls")),
    path("api/", include("router.api.ollama_urls")),
    path("chat/", include("router.chat.urls")),
    path("routing/", include("greenllm.evaluations.urls")),
    path("federation/", include("greenllm.federation.urls")),
    path("", include("greenllm.reports.urls")),
    path("", include("greenllm.studies.urls")),
    path("notices/", include("greenllm.notices.urls")),
    path("look/", include("greenllm.look.urls")),
    path("account/", include("greenllm.account.urls")),
    path("account/", include("greenllm.account.second_factor_urls")),
    path("health", health, name="health"),
    path("metrics", metrics, name="metrics"),
    path("admin/login/", sign_in, name="admin-sign-in"),
    path("admin/", admin.site.urls),
]
