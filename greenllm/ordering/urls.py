from django.urls import path

from greenllm.ordering import views

app_name = "ordering"
urlpatterns = [
    path("order/", views.order, name="order"),
    path("order/anew/", views.order_anew, name="anew"),
]
