"""Comments, flags, keys, evidence and guidelines from outside."""

from pathlib import Path

import pytest
from django.test import Client

from greenllm.models import User
from greenllm.roles import Role, grant_role
from labeling.keys import keys_of
from labeling.models import Annotator, EvidenceLook, Flag, Guideline, JudgementRule, Label, Lease
from tests import factories as make
from tests.labeling.queues import make_annotator, make_answers
from tests.labeling.showcase import make_showcase
from tests.labeling.test_views import HTMX, page_of, shown_in, ticket_in

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def ada(client: Client) -> User:
    user = make_annotator("ada")
    client.force_login(user)
    return user


@pytest.fixture
def root() -> User:
    user = make.make_user("root")
    grant_role(user=user, role=Role.ADMIN)
    return user


def ticket_of(client: Client) -> str:
    return ticket_in(page_of(client.get("/label/")))


class TestComment:
    def test_comes_with_the_vote_and_can_be_changed(self, client: Client, ada: User) -> None:
        make_answers(1)
        client.post("/label/vote/", {"ticket": ticket_of(client), "verdict": "correct", "comment": " Hm\x00. "})
        label = Label.objects.get()
        assert label.comment == "Hm."
        assert "stored with the verdict" in page_of(
            client.post(f"/label/comment/{label.pk}/", {"comment": "Sure."}, headers=HTMX)
        )
        assert Label.objects.get().comment == "Sure."

    def test_is_for_own_verdicts_only(self, client: Client, ada: User) -> None:
        label = make.make_label(make_answers(1)[0])
        fragment = page_of(client.post(f"/label/comment/{label.pk}/", {"comment": "x"}, headers=HTMX))
        assert "This verdict is not yours" in fragment
        assert Label.objects.get().comment == ""


class TestFlag:
    def flag(self, client: Client, reason: str = "Broken.") -> str:
        return page_of(client.post("/label/flag/", {"ticket": ticket_of(client), "reason": reason}, headers=HTMX))

    def test_rests_for_the_flagger_and_is_free_for_others(self, client: Client, ada: User) -> None:
        (answer,) = make_answers(1)
        assert "Only answers that you flagged are left" in self.flag(client)
        assert (Flag.objects.get().person, Flag.objects.get().reason) == (ada, "Broken.")
        client.force_login(make_annotator("bob"))
        assert shown_in(page_of(client.get("/label/"))) == [answer.pk]

    @pytest.mark.parametrize(("sent", "said"), [({"reason": " "}, "say in a few words"), ({"ticket": "x"}, "damaged")])
    def test_needs_a_reason_and_a_ticket(self, client: Client, ada: User, sent: dict[str, str], said: str) -> None:
        make_answers(1)
        sent = {"ticket": ticket_of(client), "reason": "Broken.", **sent}
        assert said in page_of(client.post("/label/flag/", sent, headers=HTMX))
        assert not Flag.objects.exists()

    @pytest.mark.parametrize(("resolution", "shown_count"), [("kept", 1), ("withdrawn", 0)])
    def test_is_resolved_by_an_admin(
        self, client: Client, ada: User, root: User, resolution: str, shown_count: int
    ) -> None:
        make_answers(1)
        self.flag(client)
        client.force_login(root)
        assert "Broken." in page_of(client.get("/label/flags/"))
        client.get("/label/")  # holds the answer
        path = f"/label/flags/{Flag.objects.get().pk}/resolve/"
        client.post(path, {"resolution": resolution})
        assert (Flag.objects.get().resolved_by, Flag.objects.get().resolution) == (root, resolution)
        assert "Broken." in page_of(client.get("/label/flags/?resolved=1"))
        assert "resolved already" in page_of(client.post(path, {"resolution": resolution}, follow=True))
        Lease.objects.filter(annotator=root).delete()
        client.force_login(ada)
        page = page_of(client.get("/label/"))
        assert len(shown_in(page)) == shown_count
        assert f"0</b> of {shown_count} judged" in page

    def test_page_is_for_admins(self, client: Client, ada: User, root: User) -> None:
        answer = make_answers(1)[0]
        flag = Flag.objects.create(response=answer, person=ada, reason="x", created_at=make.NOW)
        path = f"/label/flags/{flag.pk}/resolve/"
        assert (client.get("/label/flags/").status_code, client.post(path).status_code) == (403, 403)
        assert (Client().get("/label/flags/").status_code, Client().post(path).status_code) == (302, 302)
        client.force_login(root)
        assert client.get(path).status_code == 405
        assert "Nothing was chosen" in page_of(client.post(path, {"resolution": "burnt"}, follow=True))
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(root)
        assert strict.post(path, {"resolution": "kept"}).status_code == 403


class TestKeys:
    def test_are_kept_and_printed(self, client: Client, ada: User) -> None:
        make_answers(1)
        names = {**keys_of({}), "correct": " J "}
        assert client.post("/label/keys/", {**names, "keys_on": "on"}).status_code == 302
        kept = Annotator.objects.get()
        assert (kept.keys, kept.keys_on, kept.reference_shown) == ({"correct": "j"}, True, False)
        page = page_of(client.get("/label/"))
        assert 'data-action="correct" data-key="j"' in page
        assert '<details class="side side-reference">' in page
        client.post("/label/keys/", {"reset": "1"})
        assert (Annotator.objects.get().keys, Annotator.objects.get().reference_shown) == ({}, True)

    def test_in_conflict_lose_nothing_that_was_typed(self, client: Client, ada: User) -> None:
        response = client.post("/label/keys/", {"correct": "q", "incorrect": "q"})
        page = page_of(response)
        assert response.status_code == 422
        assert "“q” is already the key of “Correct”" in page
        assert page.count('value="q"') == 2
        assert Annotator.objects.filter(keys={}).count() == Annotator.objects.count()

    def test_can_be_switched_off(self, client: Client, ada: User) -> None:
        assert client.post("/label/keys/switch/", {"on": "0"}).status_code == 204
        assert not Annotator.objects.get().keys_on


class TestEvidence:
    def test_is_not_in_the_source_before_the_vote_and_is_after(self, client: Client, ada: User, tmp_path: Path) -> None:
        make_showcase(tmp_path, "code")
        page = page_of(client.get("/label/"))
        assert "python_asserts" not in page
        assert "asserts hold" not in page
        fragment = page_of(client.post("/label/vote/", {"ticket": ticket_in(page), "verdict": "correct"}, headers=HTMX))
        assert "The grader differs:" in fragment
        assert "1 of 3 asserts hold" in fragment
        assert "showcase-model" not in fragment

    def test_on_demand_marks_the_label(self, client: Client, ada: User, tmp_path: Path) -> None:
        make_showcase(tmp_path, "sql")
        JudgementRule.objects.create(evidence="on_demand")
        page = page_of(client.get("/label/"))
        assert "Other rows" not in page
        ticket = ticket_in(page)
        assert "Other rows" in page_of(client.post("/label/evidence/", {"ticket": ticket}, headers=HTMX))
        assert "Other rows" in page_of(client.get("/label/"))
        client.post("/label/vote/", {"ticket": ticket, "verdict": "incorrect"})
        assert Label.objects.get().saw_evidence

    @pytest.mark.parametrize("mode", ["after_vote", "never"])
    def test_cannot_be_asked_for_otherwise(self, client: Client, ada: User, tmp_path: Path, mode: str) -> None:
        make_showcase(tmp_path, "sql")
        JudgementRule.objects.create(evidence=mode)
        fragment = page_of(client.post("/label/evidence/", {"ticket": ticket_of(client)}, headers=HTMX))
        assert "not shown before the vote" in fragment
        assert "Other rows" not in fragment
        assert not EvidenceLook.objects.exists()


class TestGuidelines:
    def test_show_every_version_and_what_changed(self, client: Client, ada: User) -> None:
        category = make.make_prompt(category="math").category
        for version, text in enumerate(["The number counts.", "The last number <b>counts</b>."], start=1):
            Guideline.objects.create(category=category, version=version, text=text)
        page = page_of(client.get("/label/guidelines/?category=math"))
        assert page.index("Version 2") < page.index("Version 1")
        assert "added: </span>last" in page
        assert "<b>counts" not in page
        assert "There is no category “nope”" in page_of(client.get("/label/guidelines/?category=nope"))


class TestAnswer:
    def test_is_shown_as_markdown_with_its_words_beside(self, client: Client, ada: User) -> None:
        make.make_response(make.make_prompt(), make.make_deployment(), text="**Four**<script>alert(1)</script>")
        page = page_of(client.get("/label/"))
        assert '<div class="markdown"><p><strong>Four</strong>&lt;script&gt;' in page
        assert '<pre class="text">**Four**&lt;script&gt;' in page
        assert "<script>alert" not in page

    def test_of_code_alone_is_coloured(self, client: Client, ada: User) -> None:
        make.make_response(make.make_prompt(category="code"), make.make_deployment(), text="def f():\n    return 1")
        assert '<pre class="text code"><span class="hl-k">def</span>' in page_of(client.get("/label/"))
