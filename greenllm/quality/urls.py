from django.urls import path

from greenllm.quality import views

app_name = "quality"
urlpatterns = [
    path("quality/", views.overview, name="overview"),
    path("quality/over-time/", views.over_time, name="over-time"),
    path("quality/answers/", views.answers, name="answers"),
    path("quality.json", views.as_json, name="json"),
    path("quality/<slug:table>.csv", views.as_csv_file, name="csv"),
]
