from django.urls import path

from greenllm.dashboards import views

app_name = "dashboards"
urlpatterns = [
    path("", views.home, name="home"),
    path("dashboards/study", views.study_fragment, name="study"),
    path("ask", views.ask, name="ask"),
]
