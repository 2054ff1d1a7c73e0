"""How a prompt's reference and an answer are shown to their judge: as they are, as Markdown, or as coloured code."""

import re
from dataclasses import dataclass
from functools import lru_cache

from django.utils.safestring import SafeString

from benchmarks.models import Prompt
from benchmarks.rendering import highlight_code, render_faithfully
from labeling.grading.code import extract_code

_LANGUAGE_OF_CHECK = {"python_asserts": "python", "sql_execution": "sql"}
_LANGUAGE_OF_CATEGORY = {"code": "python", "sql": "sql"}
_QUERY = re.compile(r"\s*(?:select|with)\b", re.IGNORECASE)


@dataclass(frozen=True)
class ShownText:
    """A text as its judge sees it; without HTML it is shown as it was written."""

    text: str
    html: SafeString | None = None
    is_code: bool = False


def language_of(prompt: Prompt) -> str:
    """Return the programming language that a prompt asks for, empty where it asks for none."""
    kind = str(prompt.checks.get("kind", ""))
    return _LANGUAGE_OF_CHECK.get(kind) or _LANGUAGE_OF_CATEGORY.get(prompt.category.name, "")


@lru_cache(maxsize=512)  # an answer is sent ahead, sent again while it waits, and shown
def shown_answer(text: str, *, language: str = "") -> ShownText:
    """Return a model's answer: Markdown where it uses some, else code where it is nothing but code."""
    html = render_faithfully(text, language=language)
    if html is not None:
        return ShownText(text, html)
    return shown_code(text, language=language) if _is_code(text, language) else ShownText(text)


def shown_code(text: str, *, language: str) -> ShownText:
    """Return code in colours, where its language is known."""
    html = highlight_code(text, language=language) if text and language else None
    return ShownText(text, html, is_code=html is not None)


def _is_code(text: str, language: str) -> bool:
    if language == "python":
        return extract_code(text) == text
    return language == "sql" and _QUERY.match(text) is not None
