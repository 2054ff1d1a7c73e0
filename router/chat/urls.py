from django.urls import path

from router.chat import sending, views

app_name = "chat"
urlpatterns = [
    path("", views.start, name="start"),
    path("send/", sending.send, name="send"),
    path("<str:public_id>/", views.conversation, name="conversation"),
    path("<str:public_id>/thread/", views.thread, name="thread"),
    path("<str:public_id>/delete/", views.delete, name="delete"),
]
