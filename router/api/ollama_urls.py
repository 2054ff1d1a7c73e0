from django.urls import path, re_path

from router.api import embedding, ollama

app_name = "ollama"
urlpatterns = [
    # `router.gateway` answers these two before Django
    path("chat", ollama.unknown_url, name="chat"),
    path("generate", ollama.unknown_url, name="generate"),
    path("embed", embedding.embed, name="embed"),
    path("embeddings", embedding.embed_one, name="embeddings"),
    path("tags", ollama.tags, name="tags"),
    path("show", ollama.show, name="show"),
    path("ps", ollama.running, name="ps"),
    path("version", ollama.version, name="version"),
    *(path(name, ollama.refused, name=name) for name in ("pull", "create", "delete", "push", "copy")),
    path("blobs/<str:digest>", ollama.refused, name="blobs"),
    re_path(r"^.*$", ollama.unknown_url, name="unknown"),
]
