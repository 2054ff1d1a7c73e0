"""The front page: the study as it runs, the paper's tables, and a box that routes and answers a prompt."""

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from benchmarks.federating import RetiredModel, UnknownModel
from benchmarks.inference.base import ChatMessage, GenerationParameters, InferenceError
from benchmarks.models import Study
from greenllm.dashboards.counted import progress_counted, tallied_of
from greenllm.dashboards.queries import latest_study, study_tables
from greenllm.dashboards.shown import ShownAnswer, shown_answer
from greenllm.doors import may_read
from greenllm.roles import VIEW_RESULTS
from router.answering import AUTO_MODEL, Caller, answer
from router.api.doors import is_anonymous_allowed
from router.embedding import EmbedderMismatch
from router.index import IndexStoreError
from router.indexing import NoIndex
from router.models import GatewayRequest, PromptIndex
from router.policy import NoCandidate
from router.vectors import DimensionMismatch, UnusableEmbedding
from router.wiring import gateway

_MAX_PROMPT_CHARACTERS = 20_000
_MAX_OUTPUT_TOKENS = 256
_OLLAMA_GREETING = "Ollama is running"
_TOLD = (
    InferenceError, NoIndex, NoCandidate, EmbedderMismatch, DimensionMismatch, UnusableEmbedding, IndexStoreError,
    UnknownModel, RetiredModel,
)  # fmt: skip


def _is_welcome(request: HttpRequest) -> bool:
    return request.user.is_authenticated or is_anonymous_allowed(request)


@require_safe
@never_cache
def home(request: HttpRequest) -> HttpResponse:
    """Show the page to a browser; clients that look for an Ollama server get its greeting."""
    if request.method == "HEAD" or "text/html" not in request.headers.get("Accept", ""):
        return HttpResponse(_OLLAMA_GREETING, content_type="text/plain; charset=utf-8")
    if not _is_welcome(request):
        return redirect_to_login(request.get_full_path())
    return render(request, "dashboards/home.html", {**_results_context(request), **_ask_context("")})


@require_safe
@never_cache
def study_fragment(request: HttpRequest) -> HttpResponse:
    """Return the study's part of the page, for the browser to renew while the study runs."""
    if not may_read(request, VIEW_RESULTS):
        return HttpResponse(status=403)
    return render(request, "dashboards/_study.html", _study_context())


@require_POST
def ask(request: HttpRequest) -> HttpResponse:
    """Route the prompt of the box and answer it; without JavaScript the whole page comes back."""
    is_htmx = bool(request.htmx)  # type: ignore[attr-defined]  # set by django_htmx's middleware
    if not _is_welcome(request):
        sign_in = redirect_to_login("/")
        # htmx would follow a redirect itself and put the sign-in page where the answer belongs
        return HttpResponseClientRedirect(sign_in.url) if is_htmx else sign_in
    prompt = request.POST.get("prompt", "")
    answered: ShownAnswer | None = None
    error = _problem_with(prompt)
    if not error:
        try:
            answered = _answer(request, prompt)
        except _TOLD as problem:
            error = str(problem)
    context = _ask_context(prompt, answered=answered, error=error)
    if is_htmx:
        return render(request, "dashboards/_answer.html", context)
    return render(
        request, "dashboards/home.html", {**_results_context(request), **context}, status=400 if error else 200
    )


def _problem_with(prompt: str) -> str:
    if not prompt.strip():
        return "The prompt is empty; write something to route."
    if len(prompt) > _MAX_PROMPT_CHARACTERS:
        return f"The prompt has {len(prompt):,} characters; at most {_MAX_PROMPT_CHARACTERS:,} are taken here."
    if "\x00" in prompt:
        return "The prompt holds a NUL character; remove it."
    return ""


def _answer(request: HttpRequest, prompt: str) -> ShownAnswer:
    answered = answer(
        gateway=gateway(release=connection.close),
        caller=Caller(GatewayRequest.Surface.PAGE, user_id=request.user.pk),
        requested_model=AUTO_MODEL,
        messages=(ChatMessage("user", prompt),),
        parameters=GenerationParameters(
            seed=42, temperature=0.0, num_predict=_MAX_OUTPUT_TOKENS, extras={"repeat_penalty": 1.0}
        ),
    )
    return shown_answer(answered, sees_results=may_read(request, VIEW_RESULTS))


def _ask_context(prompt: str, *, answered: ShownAnswer | None = None, error: str = "") -> dict[str, object]:
    return {
        "prompt": prompt,
        "answer": answered,
        "error": error,
        "max_prompt_characters": _MAX_PROMPT_CHARACTERS,
    }


def _results_context(request: HttpRequest) -> dict[str, object]:
    """Return the study for those who may see results; whoever judges answers blind sees none."""
    sees_results = may_read(request, VIEW_RESULTS)
    return {"sees_results": sees_results, **(_study_context() if sees_results else {})}


def _study_context() -> dict[str, object]:
    study = latest_study()
    if study is None:
        return {"study": None, "has_index": False}
    tallies = tallied_of(study)
    progress = progress_counted(tallies)
    return {
        "study": study,
        "progress": progress,
        "done_count": progress.finished + progress.failed,
        "tables": study_tables(study, tallies),
        "is_running": study.state == Study.State.RUNNING,
        "has_index": PromptIndex.objects.filter(state=PromptIndex.State.CURRENT).exists(),
        "machine_name": settings.MACHINE_NAME,
    }
