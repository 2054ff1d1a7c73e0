from django.urls import path

from greenllm.federation import changing, joining, kept, views

app_name = "federation"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("health", views.health, name="health"),
    path("add/", changing.add, name="add"),
    path("kept/", kept.kept, name="kept"),
    path("kept/<int:prompt_id>/known/", kept.known, name="kept-known"),
    path("kept/<int:prompt_id>/unknown/", kept.unknown, name="kept-unknown"),
    path("kept/<int:prompt_id>/delete/", kept.delete, name="kept-delete"),
    path("models/<int:deployment_id>/", views.model, name="model"),
    path("models/<int:deployment_id>/evaluate/", joining.evaluate_model, name="evaluate"),
    path("models/<int:deployment_id>/take-back/", joining.take_back_model, name="take-back"),
    path("models/<int:deployment_id>/preview/", joining.preview_model, name="preview"),
    path("models/<int:deployment_id>/activate/", changing.activate_model, name="activate"),
    path("models/<int:deployment_id>/retire/", changing.retire_model, name="retire"),
]
