from django.urls import path

from greenllm.bundles import views

app_name = "bundles"
urlpatterns = [
    path("import/", views.import_bundle, name="import"),
    path("<slug:name>/bundle.zip", views.download, name="download"),
]
