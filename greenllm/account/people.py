"""The pages on which admins look after people."""

from collections.abc import Mapping
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import Group
from django.core.paginator import Paginator
from django.db.models import F, Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from benchmarks.sorting import Column, Sorting, heads, in_order
from benchmarks.units import SECONDS_PER_DAY
from greenllm.account.forms import InvitationForm, RolesForm
from greenllm.account.inviting import (
    NotYours,
    invite_person,
    may_touch,
    password_path,
    set_roles,
    switch_person,
    take_second_factor_of,
)
from greenllm.account.second_factor import has_second_factor
from greenllm.acts.noting import note_link
from greenllm.doors import people_with
from greenllm.models import User
from greenllm.roles import CHANGE_PEOPLE, Role

_PEOPLE_ON_A_PAGE = 50
_HEADS = {"name": "Name", "seen": "Last sign-in"}
_SORTED: Mapping[str, Column] = {"name": F("username"), "seen": F("last_login")}


@require_safe
@never_cache
@people_with(CHANGE_PEOPLE)
def people(request: HttpRequest) -> HttpResponse:
    """List the people with their roles, by name; a part of a name finds."""
    wanted = request.GET.get("name", "").replace("\x00", "").strip()
    roles = Prefetch("groups", Group.objects.filter(name__in=Role.values).order_by("name"))
    found = User.objects.filter(username__icontains=wanted).prefetch_related(roles)
    sorting, kept = Sorting.of(request.GET.get("sort", ""), _SORTED), urlencode({"name": wanted}) + "&"
    listed = in_order(found, sorting, _SORTED, otherwise=("username", "pk"))
    context = {
        "page": Paginator(listed, _PEOPLE_ON_A_PAGE).get_page(request.GET.get("page")),
        "wanted": wanted,
        "query": f"{kept}{sorting.query}",
        "heads": heads(_HEADS, sorting, kept=kept),
    }
    return render(request, "account/people.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@people_with(CHANGE_PEOPLE)
def invite(request: HttpRequest) -> HttpResponse:
    """Make a person and show their invitation this once."""
    if request.method != "POST":
        return render(request, "account/invite.html", {"form": InvitationForm()})
    form = InvitationForm(request.POST)
    if not form.is_valid():
        return render(request, "account/invite.html", {"form": form}, status=400)
    person = invite_person(username=form.cleaned_data["username"], roles=form.chosen())
    return _link_page(request, person, is_new=True)


@require_safe
@never_cache
@people_with(CHANGE_PEOPLE)
def person_page(request: HttpRequest, person_id: int) -> HttpResponse:
    """Show one person, with what an admin may do."""
    person = get_object_or_404(User, pk=person_id)
    names = set(person.groups.values_list("name", flat=True))
    context = {
        "person": person,
        "form": RolesForm(initial={"roles": sorted(names)}),
        "may_touch": may_touch(person=person, by=_admin(request)),
        "has_second_factor": has_second_factor(person),
        "is_oneself": person.pk == request.user.pk,
        "key_count": person.api_keys.filter(revoked_at=None).count(),
        "link_days": settings.PASSWORD_RESET_TIMEOUT // SECONDS_PER_DAY,
    }
    return render(request, "account/person.html", context)


@require_POST
@people_with(CHANGE_PEOPLE)
def change_roles(request: HttpRequest, person_id: int) -> HttpResponse:
    """Give a person the ticked roles."""
    person = get_object_or_404(User, pk=person_id)
    form = RolesForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(map(str, form.errors["roles"])))
        return redirect("account:person", person_id)
    try:
        set_roles(person=person, roles=form.chosen(), by=_admin(request))
    except NotYours as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"The roles of {person} are changed.")
    return redirect("account:person", person_id)


@require_POST
@people_with(CHANGE_PEOPLE)
def switch(request: HttpRequest, person_id: int) -> HttpResponse:
    """Switch a person off or on."""
    person = get_object_or_404(User, pk=person_id)
    is_active = request.POST.get("to") == "on"
    try:
        switch_person(person=person, is_active=is_active, by=_admin(request))
    except NotYours as error:
        messages.error(request, str(error))
    else:
        said = "may sign in again" if is_active else "is switched off: signed out everywhere, and every key is refused"
        messages.success(request, f"{person} {said}.")
    return redirect("account:person", person_id)


@require_POST
@people_with(CHANGE_PEOPLE)
def take_second_factor(request: HttpRequest, person_id: int) -> HttpResponse:
    """Take away the second factor of a person who lost it."""
    person = get_object_or_404(User, pk=person_id)
    try:
        is_there = take_second_factor_of(person=person, by=_admin(request))
    except NotYours as error:
        messages.error(request, str(error))
    else:
        said = "is taken away: the password alone signs in, until another one is set up" if is_there else "was none"
        messages.success(request, f"The second factor of {person} {said}.")
    return redirect("account:person", person_id)


@require_POST
@never_cache
@people_with(CHANGE_PEOPLE)
def link(request: HttpRequest, person_id: int) -> HttpResponse:
    """Make a link by which a person sets a password, and show it this once."""
    return _link_page(request, get_object_or_404(User, pk=person_id), is_new=False)


def _link_page(request: HttpRequest, person: User, *, is_new: bool) -> HttpResponse:
    try:
        path = password_path(person=person, by=_admin(request))
        note_link(request, person)
    except NotYours as error:
        messages.error(request, str(error))
        return redirect("account:person", person.pk)
    context = {
        "person": person,
        "link": request.build_absolute_uri(path),
        "days": settings.PASSWORD_RESET_TIMEOUT // SECONDS_PER_DAY,
        "is_new": is_new,
    }
    return render(request, "account/link.html", context)


def _admin(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101  people_with stands before each view
    return request.user
