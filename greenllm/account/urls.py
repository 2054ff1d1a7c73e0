from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

app_name = "account"
urlpatterns = [
    path("sign-in/", LoginView.as_view(template_name="account/sign_in.html"), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
]
