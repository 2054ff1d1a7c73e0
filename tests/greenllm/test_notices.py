"""Notices on the page, by e-mail, and who looks for them."""

import smtplib
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from benchmarks.models import Study
from greenllm.models import User
from greenllm.notices.jobs import check_campaigns
from greenllm.notices.mailing import mail_notices
from greenllm.roles import Role, grant_role
from labeling.models import CampaignNotice, Label
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page
from tests.labeling.queues import make_answers

pytestmark = pytest.mark.django_db


def make_person(username: str, role: Role = Role.ADMIN, **facts: Any) -> User:
    user = make.make_user(username, **facts)
    grant_role(user=user, role=role)
    return user


def make_notice(name: str = "demo", kind: str = "ended") -> CampaignNotice:
    return CampaignNotice.objects.create(
        study=make.make_study(name, state=Study.State.FINISHED), kind=kind, noticed_at=make.NOW,
        latest_label_at=make.NOW, answer_count=210, reader_count=0 if kind == "ended" else 12,
    )  # fmt: skip


def home_of(client: Client) -> str:
    return client.get("/", headers={"Accept": "text/html"}).content.decode()


class TestPage:
    @pytest.mark.slow
    def test_shows_admins_what_has_ended_until_they_dismiss_it(self, client: Client) -> None:
        notice = make_notice()
        for name in ("root", "other"):
            client.force_login(make_person(name))
            page = home_of(client)
            assert "Judging of demo has ended" in page
            assert '<a class="notices-link" href="/#notices">1 notice</a>' in page
            assert "1 notice" in client.get("/account/").content.decode()
            assert client.post(f"/notices/{notice.pk}/dismiss/")["Location"] == "/"
            assert "notice" not in home_of(client)

    def test_counts_them(self, client: Client) -> None:
        make_notice()
        make_notice("other", "stalled")
        client.force_login(make_person("root"))
        page = home_of(client)
        assert "2 notices</a>" in page
        assert "Judging of other has stalled" in page

    @pytest.mark.parametrize("role", [Role.ANNOTATOR, Role.ADJUDICATOR, Role.RESEARCHER])
    def test_shows_nobody_else_anything(self, client: Client, role: Role) -> None:
        notice = make_notice()
        client.force_login(make_person("ada", role))
        assert "notices" not in home_of(client)
        assert client.post(f"/notices/{notice.pk}/dismiss/").status_code == 403

    def test_asks_no_more_of_the_database_for_others(
        self, client: Client, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        client.force_login(make_person("ada", Role.ANNOTATOR))
        with django_assert_num_queries(4):  # session, person, permissions (2)
            client.get("/label/verdict-rule/")
        client.force_login(make_person("root"))
        with django_assert_num_queries(5):
            client.get("/label/verdict-rule/")


class TestDismissing:
    def test_takes_strangers_to_the_sign_in_page(self, client: Client) -> None:
        assert client.post(f"/notices/{make_notice().pk}/dismiss/")["Location"].startswith("/account/sign-in/")

    def test_wants_a_post_with_its_token_and_a_notice(self, client: Client) -> None:
        notice, root = make_notice(), make_person("root")
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(root)
        assert strict.get(f"/notices/{notice.pk}/dismiss/").status_code == 405
        assert strict.post(f"/notices/{notice.pk}/dismiss/").status_code == 403
        client.force_login(root)
        assert client.post(f"/notices/{notice.pk + 1}/dismiss/").status_code == 404


class TestMailing:
    def test_tells_every_admin_with_an_address_once(self) -> None:
        make_person("root", email="root@example.org")
        make_person("other", email="other@example.org")
        make_person("silent")
        make_person("gone", email="gone@example.org", is_active=False)
        make_person("ada", Role.ANNOTATOR, email="ada@example.org")
        notice = make_notice()
        assert [mail_notices(now=make.NOW), mail_notices(now=make.NOW)] == [1, 0]
        (sent,) = mail.outbox
        assert (sent.subject, sent.bcc, sent.to) == (
            "GreenLLM: Judging of demo has ended", ["other@example.org", "root@example.org"], [],
        )  # fmt: skip
        assert notice.text in str(sent.body)

    def test_waits_until_somebody_has_an_address(self) -> None:
        make_notice()
        make_person("root")
        assert mail_notices(now=make.NOW) == 0
        User.objects.update(email="root@example.org")
        assert mail_notices(now=make.NOW) == 1

    def test_tries_again_what_the_server_refused(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        make_person("root", email="root@example.org")
        make_notice()

        def refuse(*_: object, **__: object) -> None:
            raise smtplib.SMTPServerDisconnected("gone")

        with monkeypatch.context() as patched:
            patched.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
            assert mail_notices(now=make.NOW) == 0
        assert "could not be mailed" in caplog.text
        assert mail_notices(now=make.NOW) == 1

    def test_is_silent_about_what_is_over(self) -> None:
        make_person("root", email="root@example.org")
        make_notice()
        CampaignNotice.objects.update(over_at=make.NOW)
        assert mail_notices(now=make.NOW) == 0


class TestCheckCampaigns:
    @pytest.fixture
    def judged(self) -> Label:
        """A campaign of two answers, of which one was judged two hours ago."""
        make_person("root", email="root@example.org")
        first, _ = make_answers(2, study=make.make_study("demo"))
        label = make.make_label(first)
        Label.objects.update(created_at=timezone.now() - timedelta(hours=2))
        return label

    def test_goes_by_the_setting_and_sends_nothing_without_a_server(self, judged: Label, settings: Settings) -> None:
        settings.STALL_HOURS, settings.EMAIL_HOST = 3.0, ""
        assert check_campaigns() == "0 new notices, 0 mailed."
        settings.STALL_HOURS = 1.0
        assert [check_campaigns(), check_campaigns()] == ["1 new notice, 0 mailed.", "0 new notices, 0 mailed."]
        assert mail.outbox == []

    def test_mails_where_a_server_is_set(self, judged: Label, settings: Settings) -> None:
        settings.STALL_HOURS, settings.EMAIL_HOST = 1.0, "mail.example.org"
        out = StringIO()
        call_command("check_campaigns", stdout=out)
        assert out.getvalue() == "1 new notice, 1 mailed.\n"
        assert len(mail.outbox) == 1


class TestInTheBrowser:
    pytestmark = BROWSING

    def test_is_accessible_and_goes_when_dismissed(self, site: Site) -> None:
        make_notice("first-hundred")
        make_notice("second-hundred", "stalled")
        root = make_person("root")
        check_page(site, "/", user=root, picture="home-notices")
        page = site.open("/", user=root)
        page.get_by_role("button", name="Dismiss the notice on second-hundred").click()
        page.get_by_text("1 notice", exact=True).wait_for()
        assert page.get_by_text("Judging of first-hundred has ended").count() == 1
