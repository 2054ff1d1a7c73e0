"""Texts of requests, whose time is over."""

import dataclasses
from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from router.erasing import erase_old_texts, erase_traces
from router.erasing_jobs import erase_texts_of_requests
from router.models import GatewayRequest, RoutingDecision, UpstreamAttempt
from router.steps import Step, steps_as_json, steps_from_json
from tests import factories as make

pytestmark = pytest.mark.django_db


def make_kept(name: str = "small", **fields: object) -> GatewayRequest:
    request = make.make_gateway_request(prompt_text="two and two", **fields)
    UpstreamAttempt.objects.create(
        request=request, deployment=make.make_deployment(name), started_at=request.started_at, answer_text="Four."
    )
    return request


def texts() -> list[tuple[str, str]]:
    return list(GatewayRequest.objects.order_by("pk").values_list("prompt_text", "attempts__answer_text"))


class TestEraseOldTexts:
    def test_erases_prompts_and_answers_and_keeps_the_rows(self) -> None:
        make_kept()
        make_kept("large", started_at=make.NOW + timedelta(days=1))
        assert erase_old_texts(before=make.NOW + timedelta(hours=1)) == 2
        assert texts() == [("", ""), ("two and two", "Four.")]

    def test_is_done_now_and_then_as_the_setting_says(self, settings: Settings) -> None:
        make_kept()  # long ago
        settings.KEEP_TEXT_DAYS = 36_500
        assert erase_texts_of_requests() == "0 texts erased."
        settings.KEEP_TEXT_DAYS = 1
        assert erase_texts_of_requests() == "2 texts erased."
        assert texts() == [("", "")]
        assert "router.erasing_jobs.erase_texts_of_requests" in settings.PERIODIC_JOBS


class TestEraseTraces:
    def test_erases_what_checkers_quote_of_an_answer(self) -> None:
        request = make_kept()
        small = request.attempts.get().deployment
        known = {"reason": "cascade", "policy": "cascade", "chosen": small}
        step = Step(request.public_id, 1, small.pk, "small", "agreement", "One answer ends on 4.", 0.5, "estimated")
        quoted = {"plan": [{"checker": "agreement"}], "steps": steps_as_json([step]), "explanation": "Of 4: no."}
        make.make_decision(request=request, **quoted, **known)
        make.make_decision(request=make.make_gateway_request(), **known)
        erase_traces(requests=GatewayRequest.objects.all())
        quoting, plain = RoutingDecision.objects.order_by("pk")
        assert (quoting.explanation, plain.explanation) == ("(deleted)", "It was right.")
        assert steps_from_json(quoting.steps) == (dataclasses.replace(step, reason="(deleted)"),)
