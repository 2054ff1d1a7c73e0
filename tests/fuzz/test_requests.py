"""Generated requests to the served application, to both wires and every page; a slice in the tests, all in `make fuzz`.

`GREENLLM_FUZZ_REQUESTS` says how many there shall be in all, `GREENLLM_FUZZ_TALLY` where the rows of the table go.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from django.test import Client

from benchmarks.inference.scripted import ScriptedAnswer
from router.wires.document import openapi_document
from tests import factories as make
from tests.browsing import served
from tests.fuzz.mutating import NASTY_NUMBERS, NASTY_TEXTS, spoilt_json
from tests.fuzz.parsers import wire_targets
from tests.fuzz.tally import Tally, record_of, timed
from tests.greenllm.hostile_places import make_admin, make_hostile_places, make_hostile_talk, pages_of
from tests.router.conftest import open_endpoint, unseen_names  # noqa: F401  fixtures
from tests.router.endpoint import EVERY_APP, OpenEndpoint
from tests.router.standins import EMBEDDER_NAME

pytestmark = [EVERY_APP, pytest.mark.slow]
WANTED = int(os.environ.get("GREENLLM_FUZZ_REQUESTS", "0"))
SLICE = 260  # requests in the normal tests
_LONGEST_S = 20.0
_COMMAND = """
import sys
from schemathesis.cli import schemathesis
schemathesis(prog_name="schemathesis")
"""
_COUNTED = re.compile(r"(\d+) generated")
_INPUT = re.compile(r"<(?:input|select|textarea)[^>]*\bname=\"([^\"]+)\"")
_FORM = re.compile(r"<form\b[^>]*>.*?</form>", re.DOTALL)
_ATTRIBUTE = re.compile(r"\b(action|method)=\"([^\"]*)\"")
_LEFT_ALONE = ("/account/", "/admin/")  # they would end the session, or are Django's own


def told(tally: Tally) -> None:
    """Write the row where the command reads it, and fail the test where anything broke."""
    if path := os.environ.get("GREENLLM_FUZZ_TALLY"):
        with Path(path).open("a", encoding="utf8") as file:
            file.write(json.dumps(record_of(tally)) + "\n")
    assert tally.is_clean, tally.examples


def noted(tally: Tally, what: str, status: int, example: Any) -> None:
    tally.generated += 1
    tally.refused += 400 <= status < 500
    if status in {500, 501, 505} or status > 505:
        tally.note(f"{status} from {what}", example)


class TestWires:
    def test_answer_or_refuse_whatever_comes(self, open_endpoint: OpenEndpoint) -> None:  # noqa: F811
        random, tally = Random(1), Tally("requests to both wires, spoilt")
        count = WANTED // 2 if WANTED else SLICE
        endpoint = open_endpoint(answers=lambda *_: ScriptedAnswer("Five."))
        targets = {target.name.removeprefix("bodies of "): json.loads(target.sound) for target in wire_targets()}
        with served() as address, httpx.Client(base_url=address, timeout=_LONGEST_S) as client, timed(tally):
            for _ in range(count):
                path, record = random.choice(list(targets.items()))
                model = EMBEDDER_NAME if "embed" in path else random.choice(["small", "auto", "large", "nobody"])
                body = spoilt_json(random, {**record, "model": model})
                headers = headers_of(random, endpoint.secret)
                try:
                    answer = client.post(path, content=body, headers=headers)
                except httpx.TimeoutException:
                    tally.hangs += 1
                    tally.examples["hang"] = repr((path, body[:500]))
                except httpx.HTTPError as error:
                    tally.note(f"{type(error).__name__} from {path}", body[:500])
                else:
                    noted(tally, path, answer.status_code, (body[:500], answer.text[:200]))
        told(tally)

    @pytest.mark.skipif(not WANTED, reason="tests/clients/test_schemathesis.py is the slice of it")
    @pytest.mark.timeout(3600)
    def test_keep_to_their_document(self, open_endpoint: OpenEndpoint, tmp_path: Path) -> None:  # noqa: F811
        tally = Tally("requests to both wires, Schemathesis")
        endpoint = open_endpoint(answers=lambda *_: ScriptedAnswer("Five."))
        document = openapi_document()
        any_model = document["components"]["schemas"]["OllamaName"]["properties"]["model"]
        names = {"enum": ["auto", "small", EMBEDDER_NAME, "nobody"]}
        (tmp_path / "openapi.json").write_text(json.dumps(document).replace(json.dumps(any_model), json.dumps(names)))
        with served() as address, timed(tally):
            run = subprocess.run(
                [
                    sys.executable, "-c", _COMMAND, "run", "openapi.json", "--url", address, "--checks",
                    "not_a_server_error", "--phases", "fuzzing", "--max-examples", str(max(20, WANTED // 2 // 20)),
                    "--seed", "1", "--request-timeout", f"{_LONGEST_S:.0f}", "--no-color",
                    "--generation-database", "none",
                    "-H", f"Authorization: Bearer {endpoint.secret}",
                ],
                capture_output=True, text=True, check=False, cwd=tmp_path,
            )  # fmt: skip
        counted = _COUNTED.search(run.stdout)
        tally.generated = int(counted[1]) if counted else 0
        if run.returncode or not tally.generated:
            tally.note(f"exit code {run.returncode}", run.stdout[-3000:] + run.stderr[-1000:])
        told(tally)


class TestPages:
    def test_answer_or_refuse_whatever_comes(self, client: Client) -> None:
        """Every form of every page that the hostile texts are on, filled in anyhow, and every query."""
        random, tally = Random(2), Tally("forms and queries of pages")
        count = WANTED // 4 if WANTED else SLICE
        admin = make_admin()
        _, response = make_hostile_places()
        make.make_label(response, labeler=admin)
        paths = list(pages_of(response, make_hostile_talk(admin)).values())
        client.force_login(admin)
        client.raise_request_exception = False
        forms = [form for path in paths for form in forms_of(client, path)]
        with timed(tally):
            for _ in range(count):
                path, method, names = random.choice(forms)
                fields = {name: anything(random) for name in names if random.random() < 0.8}
                send = client.post if method == "post" else client.get
                answer = send(path, {name: value for name, value in fields.items() if value is not None})
                example = (method, path, fields)
                raised = getattr(answer, "exc_info", None)
                if raised:  # counted by its place, whichever form it came from
                    tally.generated += 1
                    tally.fault(raised[1], example)
                else:
                    noted(tally, f"{method} {path}", answer.status_code, example)
        told(tally)


def forms_of(client: Client, path: str) -> list[tuple[str, str, list[str]]]:
    """Return where each form of a page goes, how, and what it asks for; and the page itself with its queries."""
    answer = client.get(path)
    html = b"".join(answer).decode() if answer.streaming else answer.content.decode()
    found = [(path, "get", ["page", "q", "study", "category", "sort", "after", "before", "over", "since"])]
    for form in _FORM.findall(html):
        told_of = dict(_ATTRIBUTE.findall(form[: form.index(">") + 1]))
        action = (told_of.get("action") or path).replace("&amp;", "&")
        if action.startswith("/") and not action.startswith(_LEFT_ALONE):
            found.append((action, told_of.get("method", "get").lower(), sorted(set(_INPUT.findall(form)))))
    return found


def anything(random: Random) -> str | None:
    """Return what somebody could put into a field of a form."""
    if random.random() < 0.1:
        return None
    value = random.choice([*NASTY_TEXTS, *map(str, NASTY_NUMBERS), "1", "on", "auto", "a" * 300])
    return value.encode("utf8", "replace").decode()


def headers_of(random: Random, secret: str) -> dict[str, str]:
    """Return the right headers, or now and then strange ones."""
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    if random.random() < 0.1:
        name = random.choice(["Cache-Control", "X-GreenLLM-Metadata", "X-GreenLLM-Measure", "traceparent", "Accept"])
        headers[name] = random.choice(["", "off", "nonsense", "00-" + "z" * 50, "no-store, no-cache", "~" * 20])
    if random.random() < 0.03:
        headers["Content-Type"] = random.choice(["text/plain", "multipart/form-data; boundary=x", ""])
    return headers
