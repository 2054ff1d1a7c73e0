from django.urls import path

from greenllm.reports import views

app_name = "reports"
urlpatterns = [
    path("studies/<slug:name>/report/", views.page, name="page"),
    path("studies/<slug:name>/report/file.<slug:format_name>", views.file, name="file"),
]
