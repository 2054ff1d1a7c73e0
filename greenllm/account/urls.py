from django.contrib.auth.views import LogoutView
from django.urls import path
from django.views.decorators.http import require_http_methods, require_POST

from greenllm.account import forgetting, keys, people, views
from greenllm.account.signing_in import SignIn
from greenllm.acts.views import acts, acts_csv

_asking = require_http_methods(["GET", "HEAD", "POST"])  # Django's forms would take PUT for POST

app_name = "account"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("password/", _asking(views.ChangePassword.as_view()), name="change-password"),
    path("forget/", forgetting.forget, name="forget"),
    path("keys/add/", views.add_key, name="add-key"),
    path("keys/", keys.keys, name="keys"),
    path("keys/give/", keys.give_key, name="give-key"),
    path("keys/<int:key_id>/", keys.key_page, name="key"),
    path("keys/<int:key_id>/change/", keys.change_key, name="change-key"),
    path("keys/<int:key_id>/keeping/", keys.keeping, name="keeping"),
    path("keys/<int:key_id>/revoke/", keys.remove_key, name="revoke-key"),
    path("set-password/<uidb64>/<token>/", _asking(views.SetPassword.as_view()), name="set-password"),
    path("acts/", acts, name="acts"),
    path("acts.csv", acts_csv, name="acts-csv"),
    path("people/", people.people, name="people"),
    path("people/add/", people.invite, name="invite"),
    path("people/<int:person_id>/", people.person_page, name="person"),
    path("people/<int:person_id>/roles/", people.change_roles, name="change-roles"),
    path("people/<int:person_id>/switch/", people.switch, name="switch"),
    path("people/<int:person_id>/link/", people.link, name="link"),
    path("people/<int:person_id>/second-factor/", people.take_second_factor, name="take-second-factor"),
    path("sign-in/", _asking(SignIn.as_view()), name="sign-in"),
    path("sign-out/", require_POST(LogoutView.as_view()), name="sign-out"),
]
