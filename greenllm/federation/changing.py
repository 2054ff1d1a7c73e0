"""Change the federation: add models of a server, activate and retire them."""

from collections.abc import Mapping, Sequence

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from benchmarks.federating import RouterIsNoModel, Timeouts, connect
from benchmarks.inference.base import InferenceClient
from benchmarks.models import Deployment, InferenceServer, LanguageModel, Machine
from benchmarks.offering import list_offers
from greenllm.doors import people_with
from greenllm.federation.adding import TOLD, add_models, server_to_ask
from greenllm.federation.forms import ServerForm
from greenllm.federation.joining import ask_for_evaluation, known_count
from greenllm.roles import CHANGE_FEDERATION
from router.admitting import NotJudged, activate_judged
from router.joining import CannotEvaluate
from router.leaving import CannotRetire, hindrance_to_retiring
from router.leaving import retire_model as retire

_LONGEST_COUNT = 10  # digits
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
        now=timezone.now(),
    )
    for deployment in added.deployments:
        _tell_added(request, deployment)
    if added.problems:
        return _add_page(request, form, status=400, problems=list(added.problems), shown=shown)
    return redirect("federation:overview")


def _tell_added(request: HttpRequest, deployment: Deployment) -> None:
    """Say what was added, and have it evaluated where that was wanted and is to be done."""
    is_chat = deployment.language_model.purpose == LanguageModel.Purpose.CHAT
    if request.POST.get("evaluate") == "yes" and is_chat and deployment.state == Deployment.State.CANDIDATE:
        ask_for_evaluation(request, deployment)
    else:
        messages.success(request, f"{deployment}: {deployment.get_state_display()}.")


@require_POST
@people_with(CHANGE_FEDERATION)
def activate_model(request: HttpRequest, deployment_id: int) -> HttpResponse:
    """Let the router choose a model from now on, once that was confirmed beside the dry run."""
    deployment = _deployment(deployment_id)
    if deployment.state == Deployment.State.ACTIVE:
        messages.info(request, f"{deployment} is active already.")
    elif request.POST.get("confirm") != "yes":
        messages.info(request, "See what routing would change first, and confirm it below.")
        return redirect("federation:preview", deployment_id)
    else:
        accepted = request.POST.get("accepted", "")
        try:
            activate_judged(
                deployment=deployment,
                accepted_count=int(accepted) if accepted.isdecimal() and len(accepted) < _LONGEST_COUNT else 0,
                now=timezone.now(),
            )
        except NotJudged as error:
            messages.error(request, str(error))
            return redirect("federation:preview", deployment_id)
        except (CannotEvaluate, RouterIsNoModel) as error:
            messages.error(request, str(error))
        else:
            messages.success(request, f"{deployment} is active: the router may choose it from now on.")
    return redirect("federation:model", deployment_id)


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
    try:
        retire(deployment=deployment, now=timezone.now())
    except CannotRetire as error:
        messages.error(request, str(error))
        return redirect("federation:retire", deployment_id)
    messages.success(request, f"{deployment} is retired: out of routing from now on. Its measurements and labels stay.")
    return redirect("federation:model", deployment_id)


def _deployment(deployment_id: int) -> Deployment:
    return get_object_or_404(Deployment.objects.select_related("language_model", "server"), pk=deployment_id)


def _retire_context(deployment: Deployment) -> dict[str, object]:
    return {
        "deployment": deployment,
        "is_embedder": deployment.language_model.purpose == LanguageModel.Purpose.EMBEDDING,
        "is_active": deployment.state == Deployment.State.ACTIVE,
        "hindrance": hindrance_to_retiring(deployment),
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
    context = {
        "form": form,
        "problems": problems,
        "has_machines": Machine.objects.exists(),
        "known_count": known_count(),
        **(shown or {}),
    }
    return render(request, "federation/add.html", context, status=status)
