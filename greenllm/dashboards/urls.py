from django.urls import path

from greenllm.dashboards import boards, views

app_name = "dashboards"
urlpatterns = [
    path("", views.home, name="home"),
    path("dashboards/", boards.study_tables_page, name="study-tables"),
    path("dashboards/compare", boards.compare_router, name="compare"),
    path("dashboards/study", views.study_fragment, name="study"),
    path("dashboards/<slug:chart>.csv", boards.chart_csv, name="csv"),
    path("ask", views.ask, name="ask"),
]
