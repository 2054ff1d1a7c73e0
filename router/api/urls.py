from django.urls import path, re_path

from router.api import explaining, openai

app_name = "openai"
urlpatterns = [
    path("chat/completions", openai.chat_completions, name="chat-completions"),
    path("greenllm/route", explaining.route_prompt, name="route"),
    path("models", openai.models, name="models"),
    path("models/<path:name>", openai.model, name="model"),
    re_path(r"^.*$", openai.unknown_url, name="unknown"),
]
