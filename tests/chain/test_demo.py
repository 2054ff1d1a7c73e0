"""The whole chain on real services, run once as `manage.py demo` runs it, with fewer prompts."""

import json
import re
import stat
from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.chain.installation import START_TIMEOUT_S, Installation

pytestmark = pytest.mark.slow


@pytest.fixture
def client(demo: Installation) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{demo.address}/v1", api_key=demo.api_key, max_retries=0) as client:
        yield client


class TestDemo:
    def test_prints_passwords_and_keeps_the_key_private(self, demo: Installation) -> None:
        assert re.search(r"Made admin with the password \S{12,} \(shown once\)", demo.log)
        assert re.search(r"Made annotator with the password \S{12,} \(shown once\)", demo.log)
        assert demo.api_key in demo.log
        assert stat.S_IMODE((demo.var_dir / "api-key").stat().st_mode) == 0o600

    def test_says_that_it_lets_graders_label(self, demo: Installation) -> None:
        switched_on = "Graders may label in code, math, questions, sql, translation: switched on by the demo"
        assert switched_on in demo.log
        assert "60 answers labeled by graders" in demo.log

    def test_measures_every_response(self, demo: Installation) -> None:
        assert "demo: finished, 60 of 60 responses" in demo.log

    def test_compares_each_model_the_router_and_the_oracle(self, demo: Installation) -> None:
        table = demo.log[demo.log.index("approach") :]
        routers = ("router (guarded), bare items", "router (guarded), whole prompts")
        for name in ("smollm2:135m ", "smollm2:135m-q8_0", "smollm2:135m-q3_k", *routers, "oracle"):
            row = next(line for line in table.splitlines() if line.startswith(name))
            assert re.search(r"^.*  10  +\d+% \[\d+%, \d+%\].* estimated$", row), row
        assert "proves only that the plumbing works" in table
        assert "source=grader" in table

    def test_shows_its_tables_to_a_browser_on_this_machine(self, demo: Installation) -> None:
        page = httpx.get(demo.address, headers={"Accept": "text/html"})
        assert page.status_code == 200
        for words in ("Mean SCI of the correct answers", "estimated", "n = 2", "by graders", "translation"):
            assert words in page.text
        assert "hx-trigger" not in page.text  # the study is over: nothing to renew

    def test_greets_an_ollama_client(self, demo: Installation) -> None:
        assert httpx.get(demo.address).text == "Ollama is running"

    def test_is_well(self, demo: Installation) -> None:
        assert httpx.get(f"{demo.address}/health").json()["status"] == "ok"


class TestRoute:
    def test_explains_itself_as_json(self, demo: Installation) -> None:
        said = json.loads(demo.manage("route", "What is 17 times 23?", "--json").stdout)
        assert said["category"] == "math"
        assert said["neighbours"][0]["squared_distance"] <= said["neighbours"][1]["squared_distance"]
        assert {one["model"] for one in said["candidates"]} == {
            "smollm2:135m", "smollm2:135m-q8_0", "smollm2:135m-q3_k",
        }  # fmt: skip
        assert all(one["sci_gco2e"] > 0 and one["quality"] == "estimated" for one in said["candidates"])
        chosen = next(one for one in said["candidates"] if one["is_chosen"])
        assert chosen["model"] == said["choice"]
        assert said["choice"] in said["explanation"]

    def test_of_a_known_prompt_finds_it_at_distance_0(self, demo: Installation) -> None:
        said = json.loads(
            demo.manage(
                "route", "Mia has 3 apples and gets 4 more. How many apples does Mia have now?", "--json"
            ).stdout
        )
        assert said["neighbours"][0]["external_id"] == "demo-math-01"
        assert said["neighbours"][0]["squared_distance"] == pytest.approx(0, abs=1e-6)

    def test_refuses_an_empty_prompt(self, demo: Installation) -> None:
        refused = demo.manage("route", "  ", check=False)
        assert refused.returncode == 1
        assert "empty" in refused.stderr


class TestEndpoint:
    def test_answers_the_openai_package_by_the_model_of_the_decision(
        self, demo: Installation, client: openai.OpenAI
    ) -> None:
        question = "Tom has 6 pears and gets 5 more. How many pears does Tom have?"
        decided = json.loads(demo.manage("route", question, "--json").stdout)["choice"]
        answer = client.chat.completions.create(
            model="auto", messages=[{"role": "user", "content": question}], max_tokens=24, seed=1, temperature=0
        )
        assert answer.model == decided
        assert answer.choices[0].message.content
        assert answer.usage is not None
        assert answer.usage.completion_tokens > 0
        assert answer.model_extra is not None
        assert answer.model_extra["greenllm"]["predicted_sci_gco2e"] > 0
        assert answer.model_extra["greenllm"]["quality"] == "estimated"

    def test_answers_by_the_model_that_was_named(self, client: openai.OpenAI) -> None:
        answer = client.chat.completions.create(
            model="smollm2:135m-q3_k", messages=[{"role": "user", "content": "Say hello."}], max_tokens=8
        )
        assert answer.model == "smollm2:135m-q3_k"

    def test_lists_auto_first(self, client: openai.OpenAI) -> None:
        names = [model.id for model in client.models.list()]
        assert names == ["auto", "auto:green", "auto:quality", "smollm2:135m", "smollm2:135m-q3_k", "smollm2:135m-q8_0"]

    def test_refuses_a_prompt_longer_than_the_context(self, client: openai.OpenAI) -> None:
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(
                model="smollm2:135m", messages=[{"role": "user", "content": "word " * 9000}], max_tokens=8
            )
        assert refused.value.code == "context_length_exceeded"

    def test_refuses_an_unknown_model_and_key(self, demo: Installation, client: openai.OpenAI) -> None:
        with pytest.raises(openai.NotFoundError) as missing:
            client.chat.completions.create(model="gpt-4", messages=[{"role": "user", "content": "Hi"}])
        assert missing.value.code == "model_not_found"
        stranger = openai.OpenAI(base_url=f"{demo.address}/v1", api_key="wrong")
        with stranger, pytest.raises(openai.AuthenticationError):
            stranger.models.list()


class TestRetire:
    def test_takes_a_model_out_of_routing_at_once(self, demo: Installation, client: openai.OpenAI) -> None:
        demo.manage("retire_model", "smollm2:135m-q8_0")
        try:
            assert "smollm2:135m-q8_0" not in [model.id for model in client.models.list()]
            said = json.loads(demo.manage("route", "What is 17 times 23?", "--json").stdout)
            assert "smollm2:135m-q8_0" not in {one["model"] for one in said["candidates"]}
            with pytest.raises(openai.NotFoundError) as retired:
                client.chat.completions.create(model="smollm2:135m-q8_0", messages=[{"role": "user", "content": "Hi"}])
            assert "retired" in str(retired.value)
        finally:
            demo.manage("add_model", "smollm2:135m-q8_0", "--activate")
        assert "smollm2:135m-q8_0" in [model.id for model in client.models.list()]


class TestEnd:
    def test_leaves_no_process_and_goes_on_from_what_is_there(self, demo: Installation) -> None:
        assert demo.stop() == 0
        assert demo.processes() == []
        lines = len(demo.log)
        demo.start("demo", "--limit", "2")
        demo.wait_until(lambda: "until Ctrl-C" in demo.log[lines:], START_TIMEOUT_S, "second start")
        again = demo.log[lines:]
        assert "Made admin" not in again
        assert "0 new prompts" in again
        assert "oracle" in again
