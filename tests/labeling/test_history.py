import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from greenllm.models import User
from labeling.models import Label
from tests import factories as make
from tests.labeling.queues import make_annotator, make_answers

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(client: Client) -> User:
    user = make_annotator("ada")
    client.force_login(user)
    return user


def page_of(client: Client, path: str = "/label/history/") -> str:
    return client.get(path).content.decode()


class TestOwnLabels:
    def test_lists_own_labels_only(self, client: Client, ada: User) -> None:
        own, other = make_answers(2)
        make.make_label(own, labeler=ada)
        make.make_label(other)
        page = page_of(client)
        assert own.prompt.item_text in page
        assert other.prompt.item_text not in page

    def test_says_so_where_there_is_none(self, client: Client, ada: User) -> None:
        assert "You have not judged an answer yet" in page_of(client)

    @pytest.mark.slow
    def test_comes_in_pages(self, client: Client, ada: User, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        for answer in make_answers(45):
            make.make_label(answer, labeler=ada)
        assert page_of(client).count('class="own-label"') == 20
        with django_assert_num_queries(6):  # session, person, two of permissions, count, page
            page = page_of(client, "/label/history/?page=3")
        assert page.count('class="own-label"') == 5
        assert "Page 3 of 3" in page
        assert page_of(client, "/label/history/?page=nonsense").count('class="own-label"') == 20


class TestChanging:
    def test_supersedes_the_label_and_stays_on_the_page(self, client: Client, ada: User) -> None:
        label = make.make_label(make_answers(1)[0], labeler=ada)
        sent = {"verdict": "incorrect", "page": "1"}
        response = client.post(f"/label/history/{label.pk}/change/", sent)
        assert response["Location"] == "/label/history/?page=1"
        assert "changed from correct" in page_of(client)
        assert Label.objects.current().get().supersedes == label

    def test_takes_back_and_says_that_it_counts_no_more(self, client: Client, ada: User) -> None:
        label = make.make_label(make_answers(1)[0], labeler=ada)
        client.post(f"/label/history/{label.pk}/take-back/")
        page = page_of(client)
        assert "does not count" in page
        assert "it was correct, taken back by its judge" in page
        assert not Label.objects.current().exists()

    @pytest.mark.parametrize("action", ["change", "take-back"])
    def test_never_touches_what_others_said(self, client: Client, ada: User, action: str) -> None:
        label = make.make_label(make_answers(1)[0])
        response = client.post(f"/label/history/{label.pk}/{action}/", {"verdict": "incorrect"}, follow=True)
        assert "This verdict is not yours" in response.content.decode()
        assert Label.objects.current().get() == label

    def test_needs_a_verdict(self, client: Client, ada: User) -> None:
        label = make.make_label(make_answers(1)[0], labeler=ada)
        response = client.post(f"/label/history/{label.pk}/change/", {"verdict": "great"}, follow=True)
        assert "No verdict was chosen" in response.content.decode()
