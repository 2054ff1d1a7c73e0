"""The links at the top of every page, by what the caller may open."""

from dataclasses import dataclass
from functools import partial

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject

from greenllm.doors import may, may_read
from greenllm.health import AwayPart, away_parts
from greenllm.roles import CHANGE_FEDERATION, CHANGE_PEOPLE, JUDGE_ANSWERS, SEE_NOTICES, VIEW_RESULTS
from labeling.campaigning import notices_for
from labeling.models import CampaignNotice


@dataclass(frozen=True)
class Link:
    """One link of the navigation."""

    title: str
    url: str
    is_current: bool


# title, name of the URL, permission; an empty permission: whoever may ask the router
_LINKS = (
    ("Chat", "chat:start", ""),
    ("Label", "labeling:next", JUDGE_ANSWERS),
    ("Studies", "studies:list", VIEW_RESULTS),
    ("Dashboards", "dashboards:study-tables", VIEW_RESULTS),
    ("Routing", "routing:overview", VIEW_RESULTS),
    ("Federation", "federation:overview", VIEW_RESULTS),
)
_ALSO = {"studies:list": ("/responses/",)}  # what else belongs to a link


def navigation(request: HttpRequest) -> dict[str, object]:
    """Return the context that base.html needs: the links that the caller may follow, and what admins are told.

    They are found when a template asks: a fragment shows none, and should not pay for what its caller may open.
    """
    return {
        "navigation": partial(_links, request),
        "may_change_people": partial(may, request, CHANGE_PEOPLE),
        "is_account": request.path.startswith("/account/"),
        "notices": SimpleLazyObject(lambda: _notices(request)),
        "away_parts": partial(_away_parts, request),
    }


def _away_parts(request: HttpRequest) -> list[AwayPart]:
    """Return the parts that are away, for those who can do something about it."""
    return away_parts() if may(request, CHANGE_FEDERATION) else []


def _notices(request: HttpRequest) -> list[CampaignNotice]:
    return notices_for(int(request.user.pk or 0)) if may(request, SEE_NOTICES) else []


def _links(request: HttpRequest) -> list[Link]:
    links = []
    for title, name, permission in _LINKS:
        is_open = may(request, permission) if permission == JUDGE_ANSWERS else may_read(request, permission)
        if permission == "":
            is_open = request.user.is_authenticated or may_read(request, "")
        if is_open and (url := _url_of(name)):
            sections = ("/" + url.strip("/").split("/")[0] + "/", *_ALSO.get(name, ()))
            links.append(Link(title, url, request.path.startswith(sections)))
    return links


def _url_of(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:  # an app that is switched off has no pages
        return ""
