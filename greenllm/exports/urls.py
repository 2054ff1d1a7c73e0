from django.urls import path

from greenllm.exports import views

app_name = "exports"
urlpatterns = [
    path("<slug:name>/export/", views.choose, name="choose"),
    path("<slug:name>/export/<slug:kind>/", views.download, name="download"),
]
