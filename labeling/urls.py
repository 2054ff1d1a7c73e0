"""URLs of the labeling pages, below /label/."""

from django.urls import path

from labeling import history, views

app_name = "labeling"
urlpatterns = [
    path("", views.next_answer, name="next"),
    path("vote/", views.vote, name="vote"),
    path("skip/", views.skip, name="skip"),
    path("undo/", views.undo, name="undo"),
    path("renew/", views.renew, name="renew"),
    path("recall/", views.recall, name="recall"),
    path("history/", history.own_labels, name="history"),
    path("history/<int:label_id>/change/", history.change, name="change"),
    path("history/<int:label_id>/take-back/", history.withdraw, name="take-back"),
]
