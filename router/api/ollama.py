"""The Ollama surface where nothing is generated: what tells of models, and refusals of what changes them."""

from collections.abc import Iterable, Mapping

from django.db import connection
from django.http import HttpRequest, HttpResponse

from benchmarks.models import Deployment
from router import wiring
from router.abilities import Able
from router.answering import Caller, is_auto
from router.api.endpoint import endpoint, whole_response
from router.offering import Tell, find_offered, loaded_models, offered_models
from router.wires.fields import WireError
from router.wires.ollama import OLLAMA_ERRORS, SPOKEN_VERSION
from router.wires.ollama_catalog import running_list, shown_model, tag_list
from router.wires.ollama_requests import parse_name


@endpoint("GET", "HEAD", shape=OLLAMA_ERRORS)
def version(request: HttpRequest, caller: Caller) -> HttpResponse:
    return whole_response({"version": SPOKEN_VERSION}, OLLAMA_ERRORS)


@endpoint("GET", "HEAD", shape=OLLAMA_ERRORS)
def tags(request: HttpRequest, caller: Caller) -> HttpResponse:
    shown = [one for one in offered_models(_abilities()) if is_auto(one.name) or caller.may_ask(one.name)]
    return whole_response(tag_list(shown), OLLAMA_ERRORS)


@endpoint("POST", shape=OLLAMA_ERRORS)
def show(request: HttpRequest, caller: Caller) -> HttpResponse:
    name = parse_name(request.body)
    found = find_offered(name, _abilities())
    if found is None:
        raise WireError(f"The model {name!r} does not exist here.", status=404, code="model_not_found", about=name)
    return whole_response(shown_model(found), OLLAMA_ERRORS)


def _abilities() -> Tell:
    """Return what tells of models what they can; while servers are asked, no database connection is held."""

    def tell(deployments: Iterable[Deployment]) -> Mapping[int, Able]:
        connection.close()
        return wiring.told_abilities().of(deployments)

    return tell


@endpoint("GET", "HEAD", shape=OLLAMA_ERRORS)
def running(request: HttpRequest, caller: Caller) -> HttpResponse:
    found = loaded_models(connect=wiring.connect_server, release=connection.close)
    return whole_response(running_list(found), OLLAMA_ERRORS)


@endpoint("POST", "DELETE", "HEAD", shape=OLLAMA_ERRORS)
def refused(request: HttpRequest, caller: Caller, digest: str = "") -> HttpResponse:
    """Refuse what would change the models: those of a federation are measured and judged before they answer."""
    raise WireError(
        "Models are added and retired by an admin of GreenLLM (manage.py add_model, or the page /federation/), "
        "not by its clients.",
        status=403,
        code="not_allowed",
    )


@endpoint("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", shape=OLLAMA_ERRORS)
def unknown_url(request: HttpRequest, caller: Caller) -> HttpResponse:
    raise WireError(f"Unknown URL: {request.method} {request.path}.", status=404, code="unknown_url")
