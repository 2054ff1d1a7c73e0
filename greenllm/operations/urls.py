from django.urls import path

from greenllm.operations import views

app_name = "operations"
urlpatterns = [
    path("", views.operations, name="operations"),
    path("live", views.live, name="live"),
    path("<slug:chart>.csv", views.chart_csv, name="csv"),
]
