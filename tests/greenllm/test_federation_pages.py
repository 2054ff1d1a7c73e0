from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from benchmarks.federating import Timeouts, connect
from benchmarks.fitting import fit_energy
from benchmarks.inference.base import GenerationParameters
from benchmarks.inference.scripted import ScriptedModel, ScriptedOllama
from benchmarks.models import Deployment, InferenceServer, Measurement
from greenllm.federation import views
from greenllm.models import User
from greenllm.roles import Role, grant_role
from router.models import GatewayRequest, RoutingDecision
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page
from tests.router.standins import Federation, make_federation

pytestmark = pytest.mark.slow

PAGE = "/federation/"
TINY = ScriptedModel("tiny:1b", digest="a" * 64, size_bytes=98_000_000)
BIG = ScriptedModel("big:7b", digest="b" * 64, size_bytes=4_100_000_000)


def person(role: Role | None) -> User:
    user = make.make_user()
    if role is not None:
        grant_role(user=user, role=role)
    return user


def signed_in(role: Role | None = Role.ADMIN, *, strict: bool = False) -> Client:
    client = Client(enforce_csrf_checks=strict)
    client.force_login(person(role))
    return client


def page_of(response: Any) -> str:  # Django's test client has a type of its own for every kind of answer
    return str(response.content.decode())


def make_decision(
    chosen: Deployment, *, days_ago: float = 1, reason: str = "cheapest_correct", asked: bool = True
) -> None:
    """Make a routed request of so many days ago; one that was only asked about has no request."""
    decided_at = timezone.now() - timedelta(days=days_ago)
    request = None
    if asked:
        count = GatewayRequest.objects.count()
        request = GatewayRequest.objects.create(
            public_id=f"req_{count}",
            surface="page",
            requested_model="auto",
            prompt_sha256="0" * 64,
            started_at=decided_at,
        )
    RoutingDecision.objects.create(
        request=request, policy="nearest", chosen=chosen, reason=reason, explanation="-", decided_at=decided_at
    )


def make_apart(chosen: Deployment) -> None:
    """Make three prompts of clients themselves and three answers of the cache; of one of each no SCI is known."""
    for sci in (0.001, 0.002, None):
        now, quality = timezone.now(), "" if sci is None else "measured"
        sent = make.make_gateway_request(background_task="follow_ups", started_at=now)
        facts = {"predicted_sci_gco2e": sci, "predicted_quality": "measured", "decided_at": now}
        make.make_decision(request=sent, chosen=chosen, **facts)
        saved = {"cache_saved_gco2e": sci, "cache_saved_quality": quality}
        make.make_gateway_request(cache_hit="exact", started_at=now, **saved)


@pytest.mark.django_db
class TestDoors:
    def test_of_reading_want_somebody_who_may_see_results(self) -> None:
        deployment = make_federation().small
        for path in (PAGE, "/federation/health", f"/federation/models/{deployment.pk}/"):
            assert Client().get(path)["Location"] == f"/account/sign-in/?next={path}"
            assert signed_in(Role.ANNOTATOR).get(path).status_code == 403
            assert signed_in(Role.RESEARCHER).get(path).status_code == 200
            assert signed_in(Role.RESEARCHER).post(path).status_code == 405

    def test_of_reading_are_open_on_this_machine_where_switched_on(self, settings: Settings) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        deployment = make_federation().small
        assert "Add models" not in page_of(Client().get(PAGE))
        assert "Retire…" not in page_of(Client().get(f"/federation/models/{deployment.pk}/"))
        assert Client().get("/federation/add/").status_code == 302

    def test_answer_a_strangers_htmx_with_a_refusal(self) -> None:
        assert Client().get("/federation/health", headers={"HX-Request": "true"}).status_code == 403

    @pytest.mark.parametrize("role", [None, Role.ANNOTATOR, Role.RESEARCHER])
    def test_of_changing_want_an_admin(self, role: Role | None) -> None:
        deployment = make_federation().small
        for path in ("/federation/add/", f"/federation/models/{deployment.pk}/retire/"):
            assert signed_in(role).get(path).status_code == 403
            assert signed_in(role).post(path).status_code == 403
            assert Client().post(path)["Location"].startswith("/account/sign-in/")
        assert signed_in(role).post(f"/federation/models/{deployment.pk}/activate/").status_code == 403
        deployment.refresh_from_db()
        assert deployment.state == "active"

    def test_of_changing_want_the_token_of_the_form(self) -> None:
        deployment = make_federation().small
        admin = signed_in(strict=True)
        for path in ("add/", f"models/{deployment.pk}/retire/", f"models/{deployment.pk}/activate/"):
            assert admin.post(f"/federation/{path}").status_code == 403

    def test_of_activating_want_a_post(self) -> None:
        assert signed_in().get(f"/federation/models/{make_federation().small.pk}/activate/").status_code == 405


@pytest.mark.django_db
class TestRouterAsATarget:
    def make_router(self) -> Deployment:
        server = make.make_server(base_url="http://127.0.0.1:8000")
        InferenceServer.objects.filter(pk=server.pk).update(is_router=True)
        return make.make_deployment("auto", server=server, state="candidate")

    def test_is_no_model_of_the_overview(self) -> None:
        make_federation()
        router = self.make_router()
        assert f"/federation/models/{router.pk}/" not in page_of(signed_in().get(PAGE))

    def test_cannot_be_activated(self) -> None:
        router = self.make_router()
        path = f"/federation/models/{router.pk}/activate/"
        page = page_of(signed_in().post(path, {"confirm": "yes"}, follow=True))
        assert "nothing is routed to it" in page
        router.refresh_from_db()
        assert router.state == "candidate"


@pytest.mark.django_db
class TestEnergyOfTheIndex:
    def page_with(self, measurement: Measurement | None) -> str:
        index = make_federation().index
        index.measurement = measurement
        index.save()
        return page_of(signed_in().get(PAGE))

    def test_is_shown_with_its_n_its_quality_and_its_boundary(self) -> None:
        measurement = make.make_measurement(12.5)
        Measurement.objects.update(purpose="index_build", boundary="whole machine, by plug (machine)")
        measurement.refresh_from_db()
        page = self.page_with(measurement)
        assert "12.5&nbsp;J for n = 2 embeddings and their insertion" in page
        assert "(estimated; whole machine, by plug (machine))" in page
        assert "mgCO₂e</b>" in page

    def test_says_why_it_is_missing(self) -> None:
        assert "Missing: a gap" in self.page_with(make.make_measurement(None))

    def test_says_how_it_is_measured(self) -> None:
        assert "manage.py build_index --measure" in self.page_with(None)


@pytest.mark.django_db
class TestOverview:
    def test_says_what_to_do_where_nothing_is(self) -> None:
        assert "Add models that a server offers" in page_of(signed_in().get(PAGE))
        page = page_of(signed_in(Role.RESEARCHER).get(PAGE))
        assert "An admin adds them" in page
        assert "None has been built, so nothing can be routed" in page
        assert "<b>not in the federation</b>" in page

    def test_shows_figures_with_their_number_quality_and_whose_word(self) -> None:
        make_federation()
        page = page_of(signed_in().get(PAGE))
        assert "<b>50\u00a0%</b>" in page  # small: right in math, wrong in code
        assert "n = 2, by graders" in page
        assert 'n = 2 of 2</small><small><span class="badge estimated">' in page
        assert "2 known prompts, the bare item, 384 numbers each" in page

    def test_lets_people_count_before_graders(self) -> None:
        federation = make_federation()
        make.make_label(federation.small.responses.order_by("pk")[1])
        assert "n = 2, by graders, people" in page_of(signed_in().get(PAGE))

    def test_shows_a_dash_where_nothing_is_known(self) -> None:
        make.make_deployment("new", state="candidate")
        page = page_of(signed_in().get(PAGE))
        assert "not judged" in page
        assert "no answers</small>" in page
        assert "0.00" not in page

    def test_never_mixes_qualities(self) -> None:
        deployment = make.make_deployment("tiny")
        for quality, energy_j in (("measured", 10.0), ("estimated", 9000.0), ("estimated", 9000.0)):
            make.make_response(make.make_prompt(), deployment, quality=quality, energy_j=energy_j)
        assert 'n = 1 of 3</small><small><span class="badge measured">' in page_of(signed_in().get(PAGE))

    def test_shares_verdicts_between_deployments_but_not_sci(self) -> None:
        here = make.make_deployment("tiny")
        make.make_deployment("tiny", server=make.make_server(base_url="http://127.0.0.1:2"))
        make.make_response(make.make_prompt(), here, verdict="correct")
        page = page_of(signed_in().get(PAGE))
        assert page.count("n = 1, by graders") == 2
        assert (
            page.count('n = 1 of 1</small><small><span class="badge estimated">'),
            page.count("no answers</small>"),
        ) == (
            1,
            1,
        )

    def test_counts_what_was_routed_in_the_last_week(self) -> None:
        federation = make_federation()
        for _ in range(3):
            make_decision(federation.small)
        make_decision(federation.large)
        make_decision(federation.large, days_ago=8)
        make_decision(federation.large, reason="pinned")
        make_decision(federation.large, asked=False)
        page = page_of(signed_in().get(PAGE))
        assert "<b>75\u00a0%</b><small>3 of n = 4</small>" in page
        assert "<b>25\u00a0%</b><small>1 of n = 4</small>" in page

    def test_tells_of_background_prompts_apart(self) -> None:
        federation = make_federation()
        client = signed_in()
        assert "Background prompts" not in page_of(client.get(PAGE))
        make_apart(federation.small)
        page = page_of(client.get(PAGE))
        assert "nothing was routed" in page
        assert '<th scope="row">follow ups</th><td class="number">3</td>' in page
        assert "<b>3.00</b><small>n = 2 of 3</small>" in page

    def test_tells_apart_what_the_cache_saved(self) -> None:
        federation = make_federation()
        client = signed_in()
        assert "The cache" not in page_of(client.get(PAGE))
        make_apart(federation.small)
        page = page_of(client.get(PAGE))
        assert '<span class="badge measured">measured</span>\n</th><td class="number">2</td>' in page
        assert "<b>3.00</b><small>n = 2 of 2</small>" in page
        assert '<span class="badge missing">missing</span>\n</th><td class="number">1</td>' in page

    def test_comes_in_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make_federation()
        whole = page_of(signed_in().get(PAGE))
        monkeypatch.setattr("greenllm.federation.views._PAGE_SIZE", 1)
        second = page_of(signed_in().get(PAGE, {"page": "2"}))
        assert ('data-table="models"' in whole, 'data-table="models"' in second) == (True, False)
        assert "Page 2 of" in second
        assert second.count('id="memory-') == 1
        assert "health?page=2" in second
        assert page_of(signed_in().get(PAGE + "health", {"page": "2"})).count("memory-") == 1

    def test_lists_retired_models_last(self) -> None:
        make.make_deployment("aaa", state="retired")
        make.make_deployment("zzz", state="active")
        page = page_of(signed_in().get(PAGE))
        assert page.index(">zzz</a>") < page.index(">aaa</a>")

    def test_sorts_its_models_over_all_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(views, "_PAGE_SIZE", 2)
        names = {"a": (3.0, "correct"), "b": (None, "incorrect"), "c": (1.0, ""), "d": (2.0, "correct")}
        for name, (energy_j, verdict) in names.items():
            deployment = make.make_deployment(name, state="active" if name < "c" else "labeling")
            make.make_response(make.make_prompt(), deployment, energy_j=energy_j, verdict=verdict)
        make_decision(Deployment.objects.get(language_model__name="d"))
        client = signed_in()

        def listed(sort: str) -> str:
            pages = [client.get(f"{PAGE}?sort={sort}&page={number}").context["page"] for number in (1, 2)]
            return "".join(one.language_model.name for page in pages for one in page)

        wanted = {"model": "abcd", "-model": "dcba", "state": "abcd", "-state": "cdab", "sci": "cdab", "-sci": "adcb",
                  "accuracy": "badc", "-routed": "dabc", "": "abcd", "digest": "abcd"}  # fmt: skip
        assert {sort: listed(sort) for sort in wanted} == wanted
        page = page_of(client.get(f"{PAGE}?sort=-sci"))
        assert 'aria-sort="descending"' in page
        assert 'href="?sort=-sci&amp;page=2"' in page
        assert 'hx-get="/federation/health?sort=-sci&amp;page=1"' in page
        health = client.get("/federation/health?sort=-sci&page=2").context["loaded"]
        assert [one.language_model.name for one, _ in health] == ["c", "b"]

    @pytest.mark.parametrize("count", [1, 6])
    def test_needs_the_same_queries_however_much_there_is(
        self, count: int, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        make_federation()
        for number in range(count):
            deployment = make.make_deployment(f"model-{number}")
            make.make_response(make.make_prompt(), deployment, verdict="correct")
        client = signed_in()
        # session, person, three for permissions; models, servers, count, answers, verdicts, two for what
        # was routed and two for what was apart, index, embedder
        with django_assert_num_queries(19):  # the last one reads an admin's notices
            client.get(PAGE)


@pytest.mark.django_db
class TestHealth:
    def test_is_asked_for_after_the_page(self) -> None:
        make_federation()
        page = page_of(signed_in().get(PAGE))
        assert 'hx-get="/federation/health?page=1" hx-trigger="load"' in page
        assert "not asked yet" in page

    def test_says_that_a_server_is_away_and_the_page_stands(self) -> None:
        make_federation("http://127.0.0.1:1")
        page = page_of(signed_in().get(f"{PAGE}?ask=1"))
        assert "The inference server at http://127.0.0.1:1 does not answer" in page
        assert "server away" in page
        assert "hx-get" not in page.split("<main")[1]

    def test_tells_which_models_are_in_memory(self) -> None:
        with ScriptedOllama([TINY, BIG], answers={}) as ollama:
            server = make.make_server(base_url=ollama.base_url)
            tiny, big = make.make_deployment("tiny:1b", server=server), make.make_deployment("big:7b", server=server)
            connect(server=server, timeouts=Timeouts(5, 5, 5)).load("tiny:1b", GenerationParameters())
            fragment = page_of(signed_in().get("/federation/health"))
        assert f'<small id="memory-{tiny.pk}" hx-swap-oob="true">loaded</small>' in fragment
        assert f'<small id="memory-{big.pk}" hx-swap-oob="true">not loaded</small>' in fragment
        assert "0.0.0-simulated" in fragment
        assert "<html" not in fragment


@pytest.mark.django_db
class TestModelPage:
    def test_shows_facts_figures_and_studies(self) -> None:
        federation = make_federation()
        study = make.make_study("first")
        study.targets.create(deployment=federation.small, position=0)
        page = page_of(signed_in().get(f"/federation/models/{federation.small.pk}/"))
        assert "Active: the router may choose it, since <time" in page
        assert ">2026-01-02 03:04\u00a0UTC</time>" in page
        assert "All categories" in page
        assert '<a href="/dashboards/?study=first">first</a>' in page

    def test_says_how_to_measure_one_that_never_was(self) -> None:
        deployment = make.make_deployment("new", state="candidate")
        page = page_of(signed_in().get(f"/federation/models/{deployment.pk}/"))
        assert "manage.py run_study NAME --model new" in page
        assert "No study asks it." in page

    def test_shows_how_energy_grows_with_length(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        deployment, client = make_fitted(), signed_in(Role.RESEARCHER)
        with django_assert_num_queries(22):  # three of them of the fit, two of its kept figure
            page = page_of(client.get(f"/federation/models/{deployment.pk}/"))
        assert "0.0200 J/token, from the whole energy of the answers" in page
        assert 'n = 12 answers, energy <span class="badge estimated">estimated</span>' in page
        assert 'id="energy-fit-figure"' in page
        assert page.count('<th scope="row"><a href="/responses/') == 12

    def test_says_how_to_fit_one_that_never_was(self) -> None:
        page = page_of(signed_in().get(f"/federation/models/{make.make_deployment('new').pk}/"))
        assert "manage.py fit_energy --deployment new" in page

    def test_of_none_does_not_exist(self) -> None:
        assert signed_in().get("/federation/models/1/").status_code == 404


def make_fitted() -> Deployment:
    """Make a model whose answers cost 1 J, 0.02 J a prompt token and 0.5 J an output token, and one that cost more."""
    deployment, study = make.make_deployment("fitted"), make.make_study()
    for number in range(12):
        prompt_tokens, output_tokens = 20 + 10 * number, 30 + 7 * (number % 5)
        make.make_response(
            make.make_prompt("x" * 4 * prompt_tokens),
            deployment,
            study=study,
            energy_j=1 + 0.02 * prompt_tokens + 0.5 * output_tokens + (20 if number == 5 else 0),
            prompt_token_count=prompt_tokens,
            output_token_count=output_tokens,
        )
    fit_energy(deployment=deployment, now=make.NOW)
    return deployment


@pytest.mark.django_db
class TestChanging:
    def test_activates(self) -> None:
        deployment = make.make_deployment("new", state="candidate")
        path = f"/federation/models/{deployment.pk}/activate/"
        page = page_of(signed_in().post(path, {"confirm": "yes"}, follow=True))
        deployment.refresh_from_db()
        assert deployment.state == "active"
        assert "is active: the router may choose it from now on" in page

    def test_activates_nothing_that_was_not_confirmed(self) -> None:
        deployment = make.make_deployment("new", state="candidate")
        response = signed_in().post(f"/federation/models/{deployment.pk}/activate/")
        deployment.refresh_from_db()
        assert deployment.state == "candidate"
        assert response["Location"] == f"/federation/models/{deployment.pk}/preview/"

    def test_does_not_activate_an_embedder(self) -> None:
        deployment = make.make_deployment("embedder", state="candidate", purpose="embedding")
        path = f"/federation/models/{deployment.pk}/activate/"
        page = page_of(signed_in().post(path, {"confirm": "yes"}, follow=True))
        deployment.refresh_from_db()
        assert deployment.state == "candidate"
        assert "embeds prompts" in page

    def test_says_what_retiring_means_before_it_does_it(self) -> None:
        federation = make_federation()
        client, path = signed_in(), f"/federation/models/{federation.small.pk}/retire/"
        asked = page_of(client.get(path))
        federation.small.refresh_from_db()
        assert federation.small.state == "active"
        assert "from its very next decision on" in asked
        assert "only active model" not in asked
        page = page_of(client.post(path, follow=True))
        federation.small.refresh_from_db()
        assert federation.small.state == "retired"
        assert "Its measurements and labels stay" in page
        assert federation.small.responses.count() == 2
        assert "is retired already" in page_of(client.post(path, follow=True))

    def test_refuses_the_last_active_model_and_warns_of_an_embedder(self) -> None:
        only = make.make_deployment("only")
        embedder = make.make_deployment("embedder", purpose="embedding")
        path = f"/federation/models/{only.pk}/retire/"
        assert "Retire it</button>" not in page_of(signed_in().get(path))
        assert "only active model" in page_of(signed_in().post(path, follow=True))
        only.refresh_from_db()
        assert only.state == "active"
        assert "nothing can be routed" in page_of(signed_in().get(f"/federation/models/{embedder.pk}/retire/"))


@pytest.mark.django_db
class TestAdding:
    def test_lists_what_a_new_server_offers_and_keeps_nothing(self) -> None:
        with ScriptedOllama([TINY, BIG], answers={}) as ollama:
            response = signed_in().post("/federation/add/", {"address": f"{ollama.base_url}/", "kind": "ollama"})
        page = page_of(response)
        assert response.status_code == 200
        assert 'value="tiny:1b"' in page
        assert 'value="big:7b"' in page
        assert ollama.base_url in page
        assert not InferenceServer.objects.exists()
        assert not Deployment.objects.exists()

    def test_adds_what_was_ticked(self) -> None:
        with ScriptedOllama([TINY, BIG], answers={}) as ollama:
            body = {"address": ollama.base_url, "kind": "ollama", "step": "add", "model": ["tiny:1b"]}
            page = page_of(signed_in().post("/federation/add/", body, follow=True))
        deployment = Deployment.objects.get()
        assert (deployment.language_model.name, deployment.state) == ("tiny:1b", "candidate")
        assert deployment.server.machine.name == "test"
        assert "tiny:1b on ollama-127-0-0-1" in page

    def test_asks_a_known_server(self) -> None:
        with ScriptedOllama([TINY, BIG], answers={}) as ollama:
            server = make.make_server(base_url=ollama.base_url)
            make.make_deployment("tiny:1b", server=server, digest="a" * 64)
            page = page_of(signed_in().post("/federation/add/", {"server": server.pk}))
        assert "In the federation: Active" in page

    def test_puts_a_new_server_on_the_chosen_machine(self) -> None:
        machine = make.make_machine("lab")
        with ScriptedOllama([TINY], answers={}) as ollama:
            body = {"address": ollama.base_url, "kind": "ollama", "step": "add", "model": "tiny:1b"}
            signed_in().post("/federation/add/", {**body, "machine": machine.pk})
        assert Deployment.objects.get().server.machine == machine

    def test_says_which_failed_and_adds_the_others(self) -> None:
        with ScriptedOllama([TINY], answers={}) as ollama:
            body = {"address": ollama.base_url, "kind": "ollama", "step": "add", "model": ["gone", "tiny:1b"]}
            response = signed_in().post("/federation/add/", body)
        page = page_of(response)
        assert response.status_code == 400
        assert "gone: The server at" in page
        assert "tiny:1b on ollama" in page
        assert [one.language_model.name for one in Deployment.objects.all()] == ["tiny:1b"]

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            pytest.param({}, "Choose a known server above, or give the address", id="nothing"),
            pytest.param({"address": "gpu-1:11434"}, "must be a web address like", id="no scheme"),
            pytest.param({"address": "file:///etc/passwd"}, "must be a web address like", id="another scheme"),
            pytest.param({"address": "http://a b"}, "must be a web address like", id="a space"),
            pytest.param({"address": "http://[::1"}, "cannot be read", id="half an address"),
            pytest.param({"address": "http://host:99999"}, "cannot be read", id="no port"),
            pytest.param({"address": "http://me:secret@host"}, "Leave the name and password out", id="password"),
            pytest.param({"address": "http://host/?a=1"}, "Leave everything from ? or # on", id="query"),
            pytest.param({"address": "http://127.0.0.1:1", "kind": "ollama"}, "does not answer", id="unreachable"),
            pytest.param({"address": "http://169.254.169.254/"}, "GREENLLM_SERVER_NETWORKS", id="metadata"),
            pytest.param({"address": "http://10.0.0.9:11434"}, "in a private network", id="private"),
            pytest.param({"kind": "vax"}, "vax is not one of the available choices", id="kind"),
            pytest.param({"server": "99"}, "not one of the available choices", id="unknown server"),
        ],
    )  # fmt: skip
    def test_says_what_is_wrong_and_keeps_what_was_typed(self, body: dict[str, str], said: str) -> None:
        response = signed_in().post("/federation/add/", {"kind": "ollama", **body})
        page = page_of(response)
        assert response.status_code == 400
        assert said in page
        assert f'value="{body.get("address", "")}"' in page

    def test_says_that_a_server_offers_nothing(self) -> None:
        with ScriptedOllama([], answers={}) as ollama:
            page = page_of(signed_in().post("/federation/add/", {"address": ollama.base_url, "kind": "ollama"}))
        assert "lists no models" in page

    def test_says_that_the_address_is_of_another_kind(self) -> None:
        server = make.make_server()
        page = page_of(signed_in().post("/federation/add/", {"address": server.base_url, "kind": "openai"}))
        assert "of the kind &#x27;ollama&#x27;, not &#x27;openai&#x27;" in page

    def test_wants_something_ticked(self) -> None:
        with ScriptedOllama([TINY], answers={}) as ollama:
            body = {"address": ollama.base_url, "kind": "ollama", "step": "add"}
            assert "Tick at least one model" in page_of(signed_in().post("/federation/add/", body))


def make_seen_federation(base_url: str) -> Federation:
    federation = make_federation(base_url)
    for _ in range(3):
        make_decision(federation.small)
    make.make_deployment("retired-one", state="retired", server=make.make_server(base_url="http://127.0.0.1:1"))
    return federation


class TestInTheBrowser:
    pytestmark = BROWSING

    def test_asks_the_servers_after_the_page(self, site: Site) -> None:
        with ScriptedOllama([TINY], answers={}) as ollama:
            make_seen_federation(ollama.base_url)
            page = site.open(PAGE, user=person(Role.RESEARCHER))
            expect(page.get_by_text("answers", exact=True)).to_be_visible()
            expect(page.get_by_text("away", exact=True)).to_be_visible()
            expect(page.get_by_role("row", name="small")).to_contain_text("not loaded")

    def test_draws_measured_against_fitted_energies(self, site: Site) -> None:
        page = site.open(f"/federation/models/{make_fitted().pk}/", user=person(Role.RESEARCHER))
        page.locator("#energy-fit").scroll_into_view_if_needed()
        expect(page.locator("#energy-fit[data-drawn] .points path")).to_have_count(12)
        page.get_by_text("The latest 12 answers in numbers").click()
        expect(page.get_by_role("region", name="Table of fitted answers").get_by_role("row")).to_have_count(13)

    def test_adds_and_retires_without_javascript(self, site: Site) -> None:
        with ScriptedOllama([TINY, BIG], answers={}) as ollama:
            page = site.open(PAGE, user=person(Role.ADMIN), java_script_enabled=False)
            page.get_by_role("link", name="Add models", exact=True).click()
            page.get_by_label("Address of a new server").fill(ollama.base_url)
            page.get_by_role("button", name="List what it offers").click()
            page.get_by_label("tiny:1b").check()
            page.get_by_role("button", name="Add what is ticked").click()
            page.get_by_role("link", name="tiny:1b").click()
            page.get_by_role("link", name="Retire…").click()
            page.get_by_role("button", name="Retire it").click()
            expect(page.locator("#messages")).to_contain_text("is retired: out of routing from now on")

    def test_is_accessible_empty(self, site: Site) -> None:
        check_page(site, PAGE, user=person(Role.ADMIN))

    def test_is_accessible_with_models(self, site: Site) -> None:
        with ScriptedOllama([TINY], answers={}) as ollama:
            federation = make_seen_federation(ollama.base_url)
            admin = person(Role.ADMIN)
            make_apart(federation.small)
            check_page(site, f"{PAGE}?ask=1", user=admin)
            check_page(site, f"/federation/models/{federation.small.pk}/", user=admin)
            check_page(site, f"/federation/models/{make_fitted().pk}/", user=admin)
            check_page(site, f"/federation/models/{federation.small.pk}/retire/", user=admin)
            check_page(site, "/federation/add/", user=admin)
