"""URLs of notices, below /notices/."""

from django.urls import path

from greenllm.notices import views

app_name = "notices"
urlpatterns = [path("<int:notice_id>/dismiss/", views.dismiss, name="dismiss")]
