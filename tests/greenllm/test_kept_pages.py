"""The list of kept prompts: who may see it, and what becomes of a prompt."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from benchmarks.inference.base import Generation
from benchmarks.models import Prompt, Response
from greenllm.roles import Role
from router.keeping import keep_live_answer, kept_prompts
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page
from tests.greenllm.test_federation_pages import page_of, person, signed_in
from tests.router.standins import Federation, make_federation

pytestmark = pytest.mark.slow

PAGE = "/federation/kept/"


def keep(federation: Federation, text: str, answer: str = "An answer.") -> Response:
    request = make.make_gateway_request()
    decision = make.make_decision(request=request, chosen=federation.small, category=federation.math.category)
    generation = Generation(answer, None, 5, 3, 1000, 0, 400, 600, 500, "stop")
    response = keep_live_answer(
        request=request, decision=decision, prompt_text=text, generation=generation, now=make.NOW
    )
    assert response is not None
    return response


@pytest.mark.django_db
class TestDoors:
    def test_are_for_admins_by_post_with_a_token(self) -> None:
        prompt = keep(make_federation(), "what is it").prompt
        assert Client().get(PAGE)["Location"] == f"/account/sign-in/?next={PAGE}"
        assert signed_in(Role.RESEARCHER).get(PAGE).status_code == 403
        for step in ("known", "unknown", "delete"):
            path = f"{PAGE}{prompt.pk}/{step}/"
            assert signed_in(Role.ANNOTATOR).post(path).status_code == 403
            assert signed_in().get(path).status_code == 405
            assert signed_in(strict=True).post(path).status_code == 403
        assert kept_prompts().count() == 1

    def test_stay_shut_to_unnamed_readers(self, settings: Settings) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        assert Client().get(PAGE).status_code == 302

    def test_open_no_other_prompt(self) -> None:
        federation = make_federation()
        assert signed_in().post(f"{PAGE}{federation.math.pk}/delete/").status_code == 404
        assert Prompt.objects.filter(pk=federation.math.pk).exists()


@pytest.mark.django_db
class TestList:
    def test_says_how_to_get_some(self, settings: Settings) -> None:
        assert "GREENLLM_KEEP_WITH_CONSENT=yes" in page_of(signed_in().get(PAGE))
        settings.KEEP_WITH_CONSENT = True
        assert "&quot;store&quot;: true" in page_of(signed_in().get(PAGE)).replace('"store"', "&quot;store&quot;")

    def test_shows_text_answer_source_and_verdict(self) -> None:
        federation = make_federation()
        response = keep(federation, "what <is> it")
        keep(federation, "another")
        make.make_label(response)
        page = page_of(signed_in().get(PAGE))
        assert "what &lt;is&gt; it" in page
        assert "judged right (n = 1)" in page
        assert "not judged" in page
        assert response.gateway_request_public_id in page

    @pytest.mark.parametrize("count", [1, 5])
    def test_needs_as_many_queries_however_many_there_are(
        self, count: int, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        federation = make_federation()
        for number in range(count):
            keep(federation, f"prompt {number}")
        client = signed_in()
        # session, person, permissions, notices; count, prompts, answers, verdicts, categories
        with django_assert_num_queries(10):
            client.get(PAGE)

    def test_is_a_study_whose_pages_stand(self) -> None:
        keep(make_federation(), "what is it")
        assert signed_in().get("/studies/").status_code == 200
        assert signed_in().get("/studies/live-traffic/").status_code == 200
        assert signed_in().get(f"/responses/{Response.objects.get(study__kind='live').pk}/").status_code == 200
        assert signed_in().get("/dashboards/?study=live-traffic").status_code == 200


@pytest.mark.django_db
class TestChanging:
    def test_makes_known_in_the_chosen_category_and_takes_it_back(self) -> None:
        federation = make_federation()
        prompt = keep(federation, "what is it").prompt
        body = {"category": federation.code.category_id}
        page = page_of(signed_in().post(f"{PAGE}{prompt.pk}/known/", body, follow=True))
        prompt.refresh_from_db()
        assert (prompt.role, prompt.category) == ("train", federation.code.category)
        assert "The next index takes it, as code" in page
        signed_in().post(f"{PAGE}{prompt.pk}/unknown/")
        prompt.refresh_from_db()
        assert prompt.role == "unused"

    @pytest.mark.parametrize("category", ["", "0", "x", "9" * 30])
    def test_wants_a_category(self, category: str) -> None:
        prompt = keep(make_federation(), "what is it").prompt
        page = page_of(signed_in().post(f"{PAGE}{prompt.pk}/known/", {"category": category}, follow=True))
        assert "Choose the category" in page
        assert Prompt.objects.get(pk=prompt.pk).role == "unused"

    def test_deletes(self) -> None:
        prompt = keep(make_federation(), "what is it").prompt
        page = page_of(signed_in().post(f"{PAGE}{prompt.pk}/delete/", follow=True))
        assert "Its texts are deleted" in page
        assert not kept_prompts().exists()


class TestInTheBrowser:
    pytestmark = BROWSING

    def test_is_accessible(self, site: Site) -> None:
        federation = make_federation()
        make.make_label(keep(federation, "What is 17 times 23?\nShow the steps.", "17 times 23 is 391."))
        known = keep(federation, "Write a Python function that reverses a string.").prompt
        known.role = "train"
        known.save()
        check_page(site, PAGE, user=person(Role.ADMIN))
