"""Every URL of GreenLLM (docs/architecture.md lists them)."""

from django.contrib import admin
from django.urls import include, path

from greenllm.health import health

urlpatterns = [
    path("", include("greenllm.dashboards.urls")),
    path("label/", include("greenllm.quality.urls")),
    path("label/", include("labeling.urls")),
    path("studies/", include("greenllm.bundles.urls")),  # before the studies' own pages: import is no name
    path("studies/", include("greenllm.comparing.urls")),
    path("v1/", include("router.api.urls")),
    path("chat/", include("router.chat.urls")),
    path("federation/", include("greenllm.federation.urls")),
    path("", include("greenllm.studies.urls")),
    path("notices/", include("greenllm.notices.urls")),
    path("account/", include("greenllm.account.urls")),
    path("health", health, name="health"),
    path("admin/", admin.site.urls),
]
