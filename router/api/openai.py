"""The OpenAI surface where nothing is generated: the models, and what is not there."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from benchmarks.federating import UnknownModel
from benchmarks.models import Deployment
from router.answering import AUTO_MODEL, Caller, is_auto
from router.api.endpoint import endpoint
from router.wire import WireError, model_entry, model_list
from router.wishes import DIALS


@endpoint("GET")
def models(request: HttpRequest, caller: Caller) -> HttpResponse:
    own = [(name, _auto_created()) for name in (AUTO_MODEL, *DIALS)]
    return JsonResponse(model_list([*own, *_active_names(caller)]))


@endpoint("GET")
def model(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    if is_auto(name):
        return JsonResponse(model_entry(name if name in DIALS else AUTO_MODEL, _auto_created()))
    created = dict(_active_names(caller)).get(name)
    if created is None:
        raise UnknownModel(f"The model {name!r} does not exist here; see GET /v1/models.")
    return JsonResponse(model_entry(name, created))


@endpoint("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
def unknown_url(request: HttpRequest, caller: Caller) -> HttpResponse:
    raise WireError(f"Unknown URL: {request.method} {request.path}.", status=404, code="unknown_url")


def _active_names(caller: Caller) -> list[tuple[str, int]]:
    rows = Deployment.objects.active().order_by("language_model__name", "-added_at")
    added = dict(rows.values_list("language_model__name", "added_at"))
    return [(name, int(at.timestamp())) for name, at in added.items() if caller.may_ask(name)]


def _auto_created() -> int:
    """Return when the federation began, which is when its router can be said to have been made."""
    first = Deployment.objects.order_by("added_at").values_list("added_at", flat=True).first()
    return int((first or timezone.now()).timestamp())
