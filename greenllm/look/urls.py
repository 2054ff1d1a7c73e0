"""URLs of the page that shows the design system."""

from django.urls import path

from greenllm.look import views

app_name = "look"

urlpatterns = [
    path("", views.look, name="look"),
    path("ask/", views.ask, name="ask"),
    path("say/", views.say, name="say"),
]
