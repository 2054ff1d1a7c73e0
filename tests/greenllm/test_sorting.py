"""Lists of several pages, sorted by the server."""

import pytest
from django.test import Client

from greenllm.account import keys, people
from greenllm.roles import Role, grant_role
from greenllm.studies import views
from router.models import ApiKey
from tests import factories as make


@pytest.mark.django_db
class TestStudyList:
    @pytest.mark.slow
    def test_is_sorted_over_all_its_pages(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(views, "_STUDIES_PER_PAGE", 2)
        for name in ("b", "c", "a"):
            make.make_study(name)
        make.make_study("nowhere", machine=None, kind="imported")
        user = make.make_user()
        grant_role(user=user, role=Role.RESEARCHER)
        client.force_login(user)

        def names(query: str) -> list[str]:
            return [row.study.name for row in client.get(f"/studies/?{query}").context["rows"]]

        assert names("sort=study") == ["a", "b"]
        assert names("sort=study&page=2") == ["c", "nowhere"]
        assert names("sort=-study") == ["nowhere", "c"]
        assert "nowhere" in names("sort=machine&page=2") == names("sort=machine&page=2")
        assert names("sort=password") == names("")
        page = client.get("/studies/?sort=study&kind=measured").content.decode()
        assert (
            '<th scope="col" aria-sort="ascending"><a class="sort" href="?kind=measured&amp;sort=-study">Study</a>'
            in page
        )
        assert 'href="?kind=measured&amp;sort=study&amp;page=2"' in page


@pytest.mark.django_db
class TestListsOfAdmins:
    def test_are_sorted_over_all_their_pages(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keys, "_KEYS_ON_A_PAGE", 2)
        monkeypatch.setattr(people, "_PEOPLE_ON_A_PAGE", 2)
        names = ("ada", "bob", "eve")
        owners = [make.make_user(name) for name in names]
        for owner, name in zip(owners, ("x", "z", "y"), strict=True):
            ApiKey.objects.create(owner=owner, name=name, prefix=name, digest=name)
        grant_role(user=owners[0], role=Role.ADMIN)
        client.force_login(owners[0])  # who alone has signed in
        listed = client.get("/account/people/?sort=seen").context["page"].object_list
        assert listed[0].username == "ada"
        listed = client.get("/account/people/?sort=-name&page=2").context["page"].object_list
        assert [one.username for one in listed] == ["ada"]
        page = client.get("/account/keys/?sort=key")
        assert [key.name for key, _ in page.context["rows"]] == ["x", "y"]
        assert 'href="?owner=&amp;sort=-key"' in page.content.decode()
