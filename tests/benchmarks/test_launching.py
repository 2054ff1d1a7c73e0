import pytest

from benchmarks.federating import Timeouts
from benchmarks.inference.base import InferenceError
from benchmarks.inference.scripted import SIMULATED_VERSION, ScriptedModel, ScriptedOllama
from benchmarks.launching import ask_versions, launch
from benchmarks.models import Deployment
from benchmarks.studying import Parameters, StudyError, create_study
from tests.factories import NOW, make_deployment, make_machine, make_prompt, make_server, make_study

pytestmark = pytest.mark.django_db

TIMEOUTS = Timeouts(1.0, 1.0, 1.0)


class TestAskVersions:
    def test_asks_every_server(self) -> None:
        with ScriptedOllama([ScriptedModel("a")], answers={}) as one, ScriptedOllama([], answers={}) as two:
            servers = [make_server(base_url=server.base_url) for server in (one, two)]
            versions = ask_versions(servers=servers, timeouts=TIMEOUTS)
        assert versions == {server.pk: SIMULATED_VERSION for server in servers}

    def test_of_no_server_is_empty(self) -> None:
        assert ask_versions(servers=[], timeouts=TIMEOUTS) == {}

    def test_tells_which_server_does_not_answer(self) -> None:
        with pytest.raises(InferenceError, match=r"http://127\.0\.0\.1:1 does not answer"):
            ask_versions(servers=[make_server(base_url="http://127.0.0.1:1")], timeouts=TIMEOUTS)


class TestLaunch:
    def test_starts_the_study_and_moves_candidates_along(self) -> None:
        machine = make_machine()
        new, known = make_deployment("new", state="candidate"), make_deployment("known", state="active")
        study = create_study(
            name="s", machine=machine, deployments=[new, known], prompts=[make_prompt()], parameters=Parameters()
        )
        launch(study=study, now=NOW)
        states = Deployment.objects.order_by("pk").values_list("state", flat=True)
        assert (study.state, list(states)) == ("running", ["evaluating", "active"])

    def test_leaves_the_models_of_a_study_that_cannot_start(self) -> None:
        study = make_study(state="cancelled")
        with pytest.raises(StudyError, match="was cancelled"):
            launch(study=study, now=NOW)
