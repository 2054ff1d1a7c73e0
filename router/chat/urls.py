from django.urls import path

from router.chat import branching, history, refusing, sending, views

app_name = "chat"
urlpatterns = [
    path("", views.start, name="start"),
    path("send/", sending.send, name="send"),
    path("refuse/", refusing.refuse, name="refuse"),
    path("regenerate/", refusing.regenerate, name="regenerate"),
    path("show/", branching.show, name="show"),
    path("thumb/", branching.thumb, name="thumb"),
    path("<str:public_id>/", views.conversation, name="conversation"),
    path("<str:public_id>/thread/", views.turns, name="thread"),
    path("<str:public_id>/delete/", history.delete, name="delete"),
    path("<str:public_id>/rename/", history.rename, name="rename"),
    path("<str:public_id>/export.json", history.export_json, name="export-json"),
    path("<str:public_id>/export.md", history.export_markdown, name="export-markdown"),
]
