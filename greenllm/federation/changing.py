"""Change the federation: add models of a server, activate and retire them."""

from collections.abc import Mapping, Sequence

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from benchmarks.federating import RouterIsNoModel, Timeouts, activate, connect, retire
from benchmarks.inference.base import InferenceClient
from benchmarks.models import Deployment, InferenceServer, LanguageModel, Machine
from benchmarks.offering import list_offers
from greenllm.doors import people_with
from greenllm.federation.adding import TOLD, add_models, server_to_ask
from greenllm.federation.forms import ServerForm
from greenllm.roles import CHANGE_FEDERATION

_LONGEST_QUESTION_S = 30.0  # what a person waits for a page, and longer than any server needs to list its models


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@people_with(CHANGE_FEDERATION)
def add(request: HttpRequest) -> HttpResponse:
    """Ask for a server, list what it offers, and add what was ticked; each step keeps what was given before."""
    if request.method != "POST":
        return _add_page(request, ServerForm(initial={"server": request.GET.get("server", "")}))
    form = ServerForm(request.POST)
    if not form.is_valid():
        return _add_page(request, form, status=400)
    try:
        server = server_to_ask(
            known=form.cleaned_data["server"],
            address=form.cleaned_data["address"],
            kind=form.cleaned_data["kind"],
            machine=form.cleaned_data["machine"],
            machine_name=settings.MACHINE_NAME,
        )
        client = _connect(server)
        offers = list_offers(server=server, client=client)
    except TOLD as error:
        return _add_page(request, form, status=400, problems=[str(error)])
    ticked = request.POST.getlist("model")
    shown: dict[str, object] = {"offers": offers, "server": server, "ticked": ticked}
    if request.POST.get("step") != "add":
        return _add_page(request, form, shown=shown)
    if not ticked:
        return _add_page(request, form, status=400, problems=["Tick at least one model to add."], shown=shown)
    added = add_models(
        names=ticked,
        server=server,
        client=client,
        is_activated=request.POST.get("activate") == "yes",
        now=timezone.now(),
    )
    for deployment in added.deployments:
        messages.success(request, f"{deployment}: {deployment.get_state_display()}.")
    if added.problems:
        return _add_page(request, form, status=400, problems=list(added.problems), shown=shown)
    return redirect("federation:overview")


@require_POST
@people_with(CHANGE_FEDERATION)
def activate_model(request: HttpRequest, deployment_id: int) -> HttpResponse:
    """Let the router choose a model from now on."""
    deployment = _deployment(deployment_id)
    if deployment.language_model.purpose != LanguageModel.Purpose.CHAT:
        messages.error(request, f"{deployment} embeds prompts; the router has nothing to choose it for.")
    elif deployment.state == Deployment.State.ACTIVE:
        messages.info(request, f"{deployment} is active already.")
    else:
        _activate(request, deployment)
    return redirect("federation:model", deployment_id)


def _activate(request: HttpRequest, deployment: Deployment) -> None:
    try:
        activate(deployment=deployment, now=timezone.now())
    except RouterIsNoModel as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{deployment} is active: the router may choose it from now on.")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@people_with(CHANGE_FEDERATION)
def retire_model(request: HttpRequest, deployment_id: int) -> HttpResponse:
    """Say what retiring means, and do it once that is confirmed."""
    deployment = _deployment(deployment_id)
    if deployment.state == Deployment.State.RETIRED:
        messages.info(request, f"{deployment} is retired already.")
        return redirect("federation:model", deployment_id)
    if request.method != "POST":
        return render(request, "federation/retire.html", _retire_context(deployment))
    retire(deployment=deployment, now=timezone.now())
    messages.success(request, f"{deployment} is retired: out of routing from now on. Its measurements and labels stay.")
    return redirect("federation:model", deployment_id)


def _deployment(deployment_id: int) -> Deployment:
    return get_object_or_404(Deployment.objects.select_related("language_model", "server"), pk=deployment_id)


def _retire_context(deployment: Deployment) -> dict[str, object]:
    others = Deployment.objects.active().exclude(pk=deployment.pk)
    return {
        "deployment": deployment,
        "is_embedder": deployment.language_model.purpose == LanguageModel.Purpose.EMBEDDING,
        "is_the_last_active": deployment.state == Deployment.State.ACTIVE and not others.exists(),
    }


def _connect(server: InferenceServer) -> InferenceClient:
    longest = min(settings.FIRST_TOKEN_TIMEOUT_S, _LONGEST_QUESTION_S)
    return connect(server=server, timeouts=Timeouts(settings.CONNECT_TIMEOUT_S, longest, longest))


def _add_page(
    request: HttpRequest,
    form: ServerForm,
    *,
    status: int = 200,
    problems: Sequence[str] = (),
    shown: Mapping[str, object] | None = None,
) -> HttpResponse:
    context = {"form": form, "problems": problems, "has_machines": Machine.objects.exists(), **(shown or {})}
    return render(request, "federation/add.html", context, status=status)
