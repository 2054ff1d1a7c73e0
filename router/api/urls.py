from django.urls import path, re_path

from router.api import document, embedding, explaining, lookups, openai

app_name = "openai"
urlpatterns = [
    # `router.gateway` answers these two before Django
    path("chat/completions", openai.unknown_url, name="chat-completions"),
    path("completions", openai.unknown_url, name="completions"),
    path("openapi.json", document.openapi, name="openapi"),
    path("embeddings", embedding.embeddings, name="embeddings"),
    path("greenllm/route", explaining.route_prompt, name="route"),
    path("greenllm/requests/<str:public_id>", lookups.request_by_id, name="request"),
    path("greenllm/key", lookups.own_key, name="key"),
    path("models", openai.models, name="models"),
    path("models/<path:name>", openai.model, name="model"),
    re_path(r"^.*$", openai.unknown_url, name="unknown"),
]
