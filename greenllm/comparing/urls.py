from django.urls import path

from greenllm.comparing import views

app_name = "comparing"
urlpatterns = [
    path("compare/", views.compare, name="compare"),
    path("<slug:name>/break-even/", views.break_even_point, name="break-even"),
]
