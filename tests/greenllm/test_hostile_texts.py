"""Hostile texts in every field that people, models and servers fill, on every page that shows them."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from benchmarks.rendering import highlight_code, render_faithfully, render_markdown
from tests.fuzz.hostile_texts import HOSTILE
from tests.greenllm.hostile_places import judged, make_admin, make_hostile_places, make_hostile_talk, pages_of

_OWN_ADDRESS = re.compile(r"(?:https?:|mailto:|/|#|\?|$)")
# a report as a file carries this one script, since it has nothing beside it
_OF_REPORTS = Path(finders.find("greenllm/reports.js") or "").read_text(encoding="utf8").strip()
_LOADED = {"script": "src", "link": "href", "img": "src"}
_FORBIDDEN = {"iframe", "object", "embed", "base", "frame", "applet", "marquee", "video", "audio", "foreignobject"}


class Page_(HTMLParser):
    """What there is on a page that could act."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.acting: list[str] = []
        self._is_code = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self._is_code = tag == "script" and told.get("type") not in {"application/json", "application/ld+json"}
        if tag in _FORBIDDEN or (tag == "meta" and "http-equiv" in told):
            self.acting.append(f"<{tag}>")
        self.acting += [f"<{tag} {name}>" for name in told if name.startswith(("on", "hx-on")) or name == "srcdoc"]
        for name in ("href", "src", "action", "formaction", "xlink:href"):
            if name in told and not _OWN_ADDRESS.match((told[name] or "").strip()):
                self.acting.append(f"<{tag} {name}={told[name]}>")
        if tag in _LOADED and not (told.get(_LOADED[tag]) or "/").startswith(("/", "data:image/svg+xml")):
            self.acting.append(f"<{tag} {told}>")

    def handle_endtag(self, _tag: str) -> None:
        self._is_code = False

    def handle_data(self, data: str) -> None:
        if self._is_code and data.strip() and data.strip() != _OF_REPORTS:
            self.acting.append(f"<script>{data[:60]}")


class TestRendering:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        "render",
        [
            render_markdown,
            render_faithfully,
            lambda text: render_faithfully(f"```\n{text}\n```", language="python"),
            lambda text: highlight_code(text, language="html"),
            lambda text: highlight_code(text, language="python"),
        ],
        ids=["markdown", "faithfully", "fenced", "html", "python"],
    )
    def test_leaves_nothing_that_acts(self, render: Callable[[str], str | None]) -> None:
        for text in HOSTILE:
            html = str(render(text) or "")
            assert Page_(html).acting == [], text
            assert "<script" not in html.lower(), text


class TestPages:
    @pytest.mark.slow
    @pytest.mark.django_db
    def test_show_them_as_text(self, client: Client) -> None:
        admin = make_admin()
        _, response = make_hostile_places()
        judged(admin, response)
        talk = make_hostile_talk(admin)
        client.force_login(admin)

        acting, shown = {}, {}
        for what, path in pages_of(response, talk).items():
            answer = client.get(path)
            html = b"".join(answer) if answer.streaming else answer.content
            assert answer.status_code == 200, what
            acting[what] = Page_(html.decode()).acting
            shown[what] = b"reached" in html or b"elsewhere.example" in html

        assert {what: found for what, found in acting.items() if found} == {}
        assert [what for what, is_shown in shown.items() if not is_shown] == []
