"""The federation: every model and server, and how they are right now."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from benchmarks.federating import Timeouts, UnknownModel, connect, find_embedder
from benchmarks.inference.base import InferenceClient
from benchmarks.inference.ollama_wire import with_tag
from benchmarks.models import Deployment, InferenceServer, LanguageModel
from benchmarks.probing import ServerState, probe_servers
from benchmarks.sorting import Sorting, heads
from greenllm.doors import may, readers_with
from greenllm.federation.apart import background_since, cached_since
from greenllm.federation.fits import latest_fit, shown_fit
from greenllm.federation.joining import Joining, joining_of
from greenllm.federation.queries import (
    ROUTED_DAYS,
    deployments_in_order,
    figures_by_category,
    in_listed_order,
    index_in_use,
    model_rows,
    servers_with_counts,
    studies_of,
)
from greenllm.roles import CHANGE_FEDERATION, VIEW_RESULTS
from labeling.unchanged import one_look

_PAGE_SIZE = 50  # models on one page of the overview
_HEADS = {"model": "Model", "state": "State", "where": "Where", "accuracy": "Accuracy (%)",
          "sci": "Mean SCI (mgCO₂e per prompt)", "routed": f"Routed (%), last {ROUTED_DAYS} days"}  # fmt: skip
_ANSWER_MARGIN_S = 1.0  # a server may be asked two questions, each bounded by the time to connect


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def overview(request: HttpRequest) -> HttpResponse:
    """Show every model and server; the browser asks for the servers' health afterwards, or here with `?ask=1`."""
    deployments, now = deployments_in_order(), timezone.now()
    servers, sorting = servers_with_counts(), _sorting(request)
    page = _page_of(request, deployments, now=now)
    context: dict[str, object] = {
        "page": page,
        "rows": model_rows(list(page.object_list), now=now),
        "query": sorting.query,
        "heads": heads(_HEADS, sorting, kept=""),
        "routed_days": ROUTED_DAYS,
        "background": background_since(now - timedelta(days=ROUTED_DAYS)),
        "cached": cached_since(now - timedelta(days=ROUTED_DAYS)),
        "index": index_in_use(),
        "embedder": _embedder_in(deployments),
        "embedder_name": settings.EMBEDDER_NAME,
        "embedder_host": settings.EMBEDDER_HOST,
        "may_change": may(request, CHANGE_FEDERATION),
    }
    states = _states(servers) if request.GET.get("ask") else {}
    context |= _health_context(servers, deployments, states)
    return render(request, "federation/overview.html", context)


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def health(request: HttpRequest) -> HttpResponse:
    """Return the servers with their health, and what each model's server says of it."""
    servers = servers_with_counts()
    page = _page_of(request, deployments_in_order(), now=timezone.now())
    deployments = list(page.object_list)  # no others have a place on the page
    context = _health_context(servers, deployments, _states(servers))
    return render(request, "federation/_health.html", context)


def _sorting(request: HttpRequest) -> Sorting:
    return Sorting.of(request.GET.get("sort", ""), _HEADS)


def _page_of(request: HttpRequest, deployments: Sequence[Deployment], *, now: datetime) -> Page[Deployment]:
    listed = in_listed_order(deployments, _sorting(request), now=now)
    return Paginator(listed, _PAGE_SIZE).get_page(request.GET.get("page"))


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
@one_look()
def model(request: HttpRequest, deployment_id: int) -> HttpResponse:
    """Show one model on one server: what it is, what it was asked, and what came of it."""
    found = Deployment.objects.select_related("language_model", "server__machine").annotate(latest_fit_id=latest_fit())
    deployment = get_object_or_404(found, pk=deployment_id)
    return render(
        request,
        "federation/model.html",
        {
            "deployment": deployment,
            "row": model_rows([deployment], now=timezone.now())[0],
            "routed_days": ROUTED_DAYS,
            "figures": figures_by_category(deployment),
            "studies": studies_of(deployment),
            "shown_fit": shown_fit(deployment, deployment.latest_fit_id),  # type: ignore[attr-defined]  # annotated above
            "is_chat": deployment.language_model.purpose == LanguageModel.Purpose.CHAT,
            "may_change": may(request, CHANGE_FEDERATION),
            "joining": _joining(deployment),
        },
    )


def _joining(deployment: Deployment) -> Joining | None:
    """Return how far a model is on its way; None of one that is there, was there, or answers no prompts."""
    is_chat = deployment.language_model.purpose == LanguageModel.Purpose.CHAT and not deployment.server.is_router
    over = {Deployment.State.ACTIVE, Deployment.State.RETIRED}
    return joining_of(deployment) if is_chat and deployment.state not in over else None


def _health_context(
    servers: list[InferenceServer], deployments: list[Deployment], states: dict[int, ServerState]
) -> dict[str, object]:
    return {
        "servers": [(server, states.get(server.pk)) for server in servers],
        "loaded": [(one, _memory_words(one, states.get(one.server_id))) for one in deployments],
        "is_asked": bool(states) or not servers,
    }


def _memory_words(deployment: Deployment, state: ServerState | None) -> str:
    if state is None:
        return "not asked"
    if not state.is_well:
        return "server away"
    if state.loaded is None:
        return "not told"
    name = deployment.language_model.name
    return "loaded" if {name, with_tag(name)} & state.loaded else "not loaded"


def _states(servers: list[InferenceServer]) -> dict[int, ServerState]:
    patience_s = 2 * settings.CONNECT_TIMEOUT_S + _ANSWER_MARGIN_S
    return probe_servers(servers=servers, connect=_connect_briefly, patience_s=patience_s)


def _connect_briefly(server: InferenceServer) -> InferenceClient:
    brief = settings.CONNECT_TIMEOUT_S
    return connect(server=server, timeouts=Timeouts(brief, brief, brief))


def _embedder_in(deployments: list[Deployment]) -> Deployment | None:
    """Return the embedder that the settings name, where it is in the federation."""
    if not any(one.language_model.purpose == LanguageModel.Purpose.EMBEDDING for one in deployments):
        return None
    try:
        return find_embedder(name=settings.EMBEDDER_NAME, base_url=settings.EMBEDDER_HOST)
    except UnknownModel:
        return None
