from django.urls import path

from greenllm.evaluations import acting, views

app_name = "routing"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("evaluate/", acting.evaluate, name="evaluate"),
    path("tune/", acting.tune, name="tune"),
    path("versions/<int:version_id>/restore/", acting.restore, name="restore"),
    path("evaluations/<int:evaluation_id>/", views.evaluation, name="evaluation"),
    path("evaluations/<int:evaluation_id>/progress/", views.progress, name="progress"),
    path("evaluations/<int:evaluation_id>/adopt/", acting.adopt, name="adopt"),
    path("evaluations/<int:evaluation_id>/report.json", views.as_json, name="json"),
    path("evaluations/<int:evaluation_id>/<slug:table>.csv", views.as_csv_file, name="csv"),
]
