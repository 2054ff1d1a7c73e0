from collections.abc import Iterator

import pytest
from django.test import Client
from django.utils import timezone
from django_rq import get_queue
from pytest_django import DjangoAssertNumQueries
from redis.exceptions import ConnectionError as RedisDown
from rq import Queue

from greenllm.roles import Role, grant_role
from router.choosing_labels import order_labels
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page

PAGE, ANEW = "/label/order/", "/label/order/anew/"
pytestmark = pytest.mark.django_db


def client_of(role: Role | None, **options: bool) -> Client:
    client, user = Client(**options), make.make_user()
    if role is not None:
        grant_role(user=user, role=role)
    client.force_login(user)
    return client


def make_order(category_count: int = 2) -> None:
    study = make.make_study()
    deployments = [make.make_deployment(name) for name in ("gemma", "llama", "qwen")]
    for number in range(category_count):
        for _ in range(3):
            prompt = make.make_prompt(category=f"category-{number}")
            for deployment in deployments:
                make.make_response(prompt, deployment, study=study)
    first = make.make_response(make.make_prompt(category="category-0"), deployments[0], study=study)
    make.make_label(first)
    order_labels(study=None, seed=1, now=timezone.now())


class TestDoors:
    @pytest.mark.parametrize("role", [None, Role.ANNOTATOR, Role.ADJUDICATOR, Role.RESEARCHER])
    def test_are_closed_to_all_but_admins(self, role: Role | None) -> None:
        client = client_of(role)
        assert client.get(PAGE).status_code == 403
        assert client.post(ANEW).status_code == 403

    def test_lead_strangers_to_the_sign_in_page(self) -> None:
        for response in (Client().get(PAGE), Client().post(ANEW)):
            assert response.status_code == 302
            assert "/account/sign-in" in response["Location"]

    def test_take_only_a_post_with_a_token(self) -> None:
        assert client_of(Role.ADMIN).get(ANEW).status_code == 405
        assert client_of(Role.ADMIN, enforce_csrf_checks=True).post(ANEW).status_code == 403

    @pytest.mark.slow
    def test_are_linked_for_admins_only(self) -> None:
        assert PAGE in client_of(Role.ADMIN).get("/label/").content.decode()
        assert PAGE not in client_of(Role.ANNOTATOR).get("/label/").content.decode()


class TestPage:
    def test_says_what_to_do_first(self) -> None:
        assert "Nothing was ordered yet" in client_of(Role.ADMIN).get(PAGE).content.decode()

    @pytest.mark.slow
    def test_shows_each_category_and_model(self) -> None:
        make_order()
        told = client_of(Role.ADMIN).get(PAGE).content.decode()
        for word in ("gemma", "llama", "qwen", "category-0", "category-1", "may come ahead", "Worthwhile", "estimated"):
            assert word in told

    @pytest.mark.slow
    def test_counts_what_was_judged_since(self) -> None:
        make_order()
        make.make_label(make.make_response(make.make_prompt(), make.make_deployment("new")))
        assert "2 (1 since this order)" in client_of(Role.ADMIN).get(PAGE).content.decode()

    @pytest.mark.slow
    def test_pages_many_rows(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        make_order(20)
        client = client_of(Role.ADMIN)
        with django_assert_num_queries(7):  # session, person, permissions (2), count, one page, notices
            first = client.get(PAGE).content.decode()
        assert "Page 1 of 2" in first
        assert "Page 2 of 2" in client.get(f"{PAGE}?page=2").content.decode()
        assert "data-table" not in first  # which would sort the page alone

    @pytest.mark.slow
    def test_sorts_many_rows_over_all_pages(self) -> None:
        make_order(20)
        client = client_of(Role.ADMIN)
        for sort, column in (("-n", "label_count"), ("model", "model"), ("p", "p")):
            pages = [client.get(f"{PAGE}?sort={sort}&page={number}") for number in (1, 2)]
            found = [one[column] for page in pages for one in page.context["page"]]
            assert len(found) == 60
            assert found == sorted(found, reverse=sort.startswith("-"))
        told = pages[0].content.decode()
        assert 'aria-sort="ascending"' in told
        assert 'href="?sort=p&amp;page=2#strata-title"' in told


@pytest.fixture
def queue() -> Iterator[Queue]:
    """The queue without the job of another test: one that posts every form there is leaves it behind."""
    queue: Queue = get_queue("default")  # type: ignore[no-untyped-call]  # rq leaves it without types
    queue.empty()  # type: ignore[no-untyped-call]
    yield queue
    queue.empty()  # type: ignore[no-untyped-call]


class TestOrderAnew:
    @pytest.mark.usefixtures("queue")
    def test_has_the_worker_do_it_once(self) -> None:
        client = client_of(Role.ADMIN)
        said = [client.post(ANEW, follow=True).content.decode() for _ in range(2)]
        assert "The worker orders the answers anew" in said[0]
        assert "being ordered anew already" in said[1]

    def test_says_that_the_queue_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> bool:
            raise RedisDown("away")

        monkeypatch.setattr("greenllm.ordering.views.enqueue_order", fail)
        said = client_of(Role.ADMIN).post(ANEW, follow=True).content.decode()
        assert "cannot be reached, so that nothing was ordered" in said


class TestQueueMode:
    @pytest.mark.slow
    def test_tells_an_annotator_no_model_or_cost(self) -> None:
        make_order()
        told = client_of(Role.ANNOTATOR).get("/label/?mode=routing").content.decode()
        assert "What routing needs most first" in told
        assert 'data-answer="' in told
        for word in ("gemma", "llama", "qwen", "gCO₂e", "gCO2e", "band"):
            assert word not in told


@pytest.mark.slow
class TestLooks:
    pytestmark = BROWSING

    def test_of_the_page(self, site: Site) -> None:
        admin = make.make_user("admin")
        grant_role(user=admin, role=Role.ADMIN)
        check_page(site, PAGE, user=admin)
        make_order(5)
        check_page(site, PAGE, user=admin)
