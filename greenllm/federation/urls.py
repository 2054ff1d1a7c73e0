from django.urls import path

from greenllm.federation import changing, views

app_name = "federation"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("health", views.health, name="health"),
    path("add/", changing.add, name="add"),
    path("models/<int:deployment_id>/", views.model, name="model"),
    path("models/<int:deployment_id>/activate/", changing.activate_model, name="activate"),
    path("models/<int:deployment_id>/retire/", changing.retire_model, name="retire"),
]
