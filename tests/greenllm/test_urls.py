import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from tests import factories as make


class TestUrls:
    @pytest.mark.parametrize(
        ("name", "path"),
        [
            ("dashboards:home", "/"),
            ("dashboards:study", "/dashboards/study"),
            ("dashboards:ask", "/ask"),
            ("labeling:next", "/label/"),
            ("labeling:history", "/label/history/"),
            ("openai:chat-completions", "/v1/chat/completions"),
            ("openai:models", "/v1/models"),
            ("studies:list", "/studies/"),
            ("studies:new", "/studies/new/"),
            ("account:sign-in", "/account/sign-in/"),
            ("account:sign-out", "/account/sign-out/"),
            ("account:overview", "/account/"),
            ("account:people", "/account/people/"),
            ("dashboards:study-tables", "/dashboards/"),
            ("federation:overview", "/federation/"),
            ("health", "/health"),
            ("admin:index", "/admin/"),
        ],
    )
    def test_stay_where_clients_know_them(self, name: str, path: str) -> None:
        assert reverse(name) == path

    def test_pass_the_checks_of_django(self) -> None:
        call_command("check", fail_level="WARNING")

    @pytest.mark.slow
    @pytest.mark.django_db
    def test_need_no_new_migration(self) -> None:
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db
class TestAdmin:
    @pytest.mark.slow
    def test_lists_every_table(self, client: Client) -> None:
        client.force_login(make.make_user(is_staff=True, is_superuser=True))
        page = client.get("/admin/").content.decode()
        paths = sorted(set(page.split('"')) & {part for part in page.split('"') if part.startswith("/admin/")})
        lists = [path for path in paths if path.count("/") == 4]
        assert len(lists) >= 20
        for path in lists:
            assert client.get(path).status_code == 200, path

    @pytest.mark.slow
    def test_counts_no_further_than_it_leads(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        client.force_login(make.make_user(is_staff=True, is_superuser=True))
        monkeypatch.setattr("benchmarks.admin.MOST_LISTED", 2)
        deployment = make.make_deployment()
        for _ in range(3):
            make.make_decision(chosen=deployment, policy="knn")
        page = client.get("/admin/router/routingdecision/").content.decode()
        assert "2 routing decisions" in page
        assert "the latest 2 at most" in page
        assert "0 routing decisions" in client.get("/admin/router/routingdecision/?policy=floor").content.decode()

    def test_is_closed_to_people_who_are_no_staff(self, client: Client) -> None:
        client.force_login(make.make_user())
        assert client.get("/admin/").status_code == 302
