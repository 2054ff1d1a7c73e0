from django.urls import path

from greenllm.studies import (
    creating,
    judged,
    response_views,
    samples,
    spreads,
    steering,
    sweeps,
    views,
    watching,
)

app_name = "studies"
urlpatterns = [
    path("studies/", views.study_list, name="list"),
    path("studies/new/", creating.new, name="new"),
    path("studies/new/estimate/", creating.estimate, name="estimate"),
    path("studies/<slug:name>/", views.detail, name="detail"),
    path("studies/<slug:name>/live/", views.live, name="live"),
    path("studies/<slug:name>/power/", watching.power, name="power"),
    path("studies/<slug:name>/tables/", views.tables, name="tables"),
    path("studies/<slug:name>/spread/note/", spreads.note, name="spread-note"),
    path("studies/<slug:name>/sweep/", sweeps.sweep, name="sweep"),
    path("studies/<slug:name>/spread/", spreads.spread, name="spread"),
    path("studies/<slug:name>/spread/<slug:per>.csv", spreads.as_csv, name="spread-csv"),
    path("studies/<slug:name>/start/", steering.start, name="start"),
    path("studies/<slug:name>/pause/", steering.pause, name="pause"),
    path("studies/<slug:name>/cancel/", steering.cancel, name="cancel"),
    path("studies/<slug:name>/grade/", steering.grade, name="grade"),
    path("studies/<slug:name>/accept/", steering.accept, name="accept"),
    path("responses/<int:pk>/", response_views.response, name="response"),
    path("responses/<int:pk>/judged/", judged.reveal, name="reveal"),
    path("responses/<int:pk>/samples.csv", samples.as_csv, name="samples"),
    path("responses/<int:pk>/samples.parquet", samples.as_parquet, name="samples-parquet"),
]
