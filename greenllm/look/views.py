"""The living page of the design system: every component, from the templates and classes that the pages use."""

from functools import cache
from pathlib import Path

from django.contrib.staticfiles import finders
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from greenllm.doors import people_with, readers_with
from greenllm.look.forms import Specimen
from greenllm.look.specimens import QUALITIES, ROWS, specimen_chart
from greenllm.look.tokens import Token, tokens_of
from greenllm.roles import VIEW_RESULTS
from greenllm.toasts import said

_TYPED = {"name": "two words", "count": "0", "kind": "measured", "note": "What was typed stays."}


@require_safe
@readers_with(VIEW_RESULTS)
def look(request: HttpRequest) -> HttpResponse:
    """Show every component, light beside dark."""
    tokens = _tokens()
    form = Specimen(_TYPED, auto_id="specimen-%s")
    form.add_error("name", "Name: it has a space. Write two-words.")
    context = {
        "colours": [token for token in tokens if token.is_colour],
        "sizes": [token for token in tokens if not token.is_colour],
        "schemes": ("light", "dark"),
        "qualities": QUALITIES,
        "rows": ROWS,
        "chart": specimen_chart(),
        "form": form,
        "page": Paginator(range(90), 30).page(2),
    }
    return render(request, "look/look.html", context)


@require_safe
@readers_with(VIEW_RESULTS)
def ask(request: HttpRequest) -> HttpResponse:
    """Ask as every page does before something is done that cannot be undone; in a dialog where scripts run."""
    return render(request, "look/ask.html")


@require_POST
@people_with(VIEW_RESULTS)
def say(request: HttpRequest) -> HttpResponse:
    """Say something, as pages do after something was done; nothing is changed."""
    is_problem = request.POST.get("problem") == "yes"
    text = "It did not work, and this says why." if is_problem else "Nothing was changed: this is the design system."
    return said(request, text, then="look:look", is_problem=is_problem)


@cache
def _tokens() -> list[Token]:
    path = finders.find("greenllm/style.css")
    return tokens_of(Path(str(path)).read_text(encoding="utf8"), ":root")
