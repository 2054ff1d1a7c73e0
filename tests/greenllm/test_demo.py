import stat
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from pytest_django.fixtures import Settings

from benchmarks.federating import retire
from benchmarks.inference.base import InferenceClient, ModelDescription, ServerUnreachable
from benchmarks.models import Category, Deployment, Prompt, Study
from greenllm import demo
from greenllm.models import User
from labeling.ruling import grader_category_ids
from router.keys import find_key, revoke_key
from router.models import ApiKey
from tests import factories as make
from tests.labeling.queues import make_rule


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.mark.django_db
class TestEnsurePeople:
    def test_makes_an_admin_and_an_annotator_once(self) -> None:
        made = demo.ensure_people()
        assert [person.username for person in made] == ["admin", "annotator"]
        assert demo.ensure_people() == []
        rights = User.objects.order_by("username").values_list("username", "is_superuser", "groups__name")
        assert list(rights) == [("admin", True, "admin"), ("annotator", False, "annotator")]

    def test_gives_each_a_password_of_their_own(self) -> None:
        admin, annotator = demo.ensure_people()
        assert admin.password != annotator.password
        assert len(admin.password) >= 16
        assert User.objects.get(username="admin").check_password(admin.password)

    def test_leaves_an_admin_that_is_there_alone(self) -> None:
        make.make_user("admin")
        assert [person.username for person in demo.ensure_people()] == ["annotator"]
        assert not User.objects.get(username="admin").is_superuser


@pytest.mark.django_db
class TestEnsureApiKey:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        make.make_user("admin")
        return tmp_path / "api-key"

    def test_leaves_a_working_key_in_a_private_file(self, path: Path) -> None:
        secret = demo.ensure_api_key(path)
        assert secret is not None
        assert find_key(secret=secret) is not None
        assert path.read_text(encoding="ascii") == f"{secret}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_keeps_a_key_that_works(self, path: Path) -> None:
        demo.ensure_api_key(path)
        assert demo.ensure_api_key(path) is None
        assert ApiKey.objects.count() == 1

    def test_replaces_a_key_that_was_revoked(self, path: Path) -> None:
        first = demo.ensure_api_key(path)
        revoke_key(key=ApiKey.objects.get(), now=make.NOW)
        second = demo.ensure_api_key(path)
        assert second not in {None, first}
        assert path.read_text(encoding="ascii").strip() == second

    def test_makes_a_file_private_that_was_not(self, path: Path) -> None:
        path.write_text("nonsense", encoding="ascii")
        path.chmod(0o644)
        assert demo.ensure_api_key(path) is not None
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


class SlowServer:
    """Offers its models only after some questions; before, it is away."""

    def __init__(self, *answers: list[str] | None) -> None:
        self.answers = list(answers)

    def list_models(self) -> list[ModelDescription]:
        names = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if names is None:
            raise ServerUnreachable("http://127.0.0.1:1", "refused")
        return [ModelDescription(name, "", None, "", "", "") for name in names]


class TestWaitForModels:
    def wait(self, server: SlowServer, *, timeout_s: float = 10.0) -> tuple[list[list[str]], float]:
        waits: list[list[str]] = []
        now_s = 0.0

        def sleep(duration_s: float) -> None:
            nonlocal now_s
            now_s += duration_s

        demo.wait_for_models(
            client=cast(InferenceClient, server),
            names=["a", "b"],
            timeout_s=timeout_s,
            on_wait=waits.append,
            monotonic=lambda: now_s,
            sleep=sleep,
        )
        return waits, now_s

    def test_ends_at_once_where_all_are_offered(self) -> None:
        assert self.wait(SlowServer(["a:latest", "b", "c"])) == ([], 0.0)

    def test_tells_what_is_missing_until_it_is_there(self) -> None:
        waits, now_s = self.wait(SlowServer(None, ["b"], ["a", "b"]))
        assert (waits, now_s) == ([["a", "b"], ["a"]], 1.0)

    def test_gives_up_with_the_remedy(self) -> None:
        with pytest.raises(demo.ModelsNotReady, match=r"does not offer b after 10 s\. .*var/log/llm\.log.*OLLAMA_HOST"):
            self.wait(SlowServer(["a"]))


@pytest.mark.django_db
class TestSwitchOnGraders:
    def test_lets_graders_label_in_the_demos_categories_but_where_an_admin_said_otherwise(self) -> None:
        demo.ensure_prompts()
        make_rule("math")
        switched_on = demo.switch_on_graders()
        assert "questions" in switched_on
        assert "math" not in switched_on
        assert demo.switch_on_graders() == []
        names = Category.objects.filter(pk__in=grader_category_ids()).order_by("name").values_list("name", flat=True)
        assert list(names) == switched_on


@pytest.mark.django_db
class TestEnsureStudy:
    @pytest.fixture
    def deployments(self) -> list[Deployment]:
        server = make.make_server()
        return [make.make_deployment(name, server=server, state="candidate") for name in ("one", "two")]

    @pytest.mark.slow
    def test_asks_every_model_every_prompt_of_the_demo(self, deployments: list[Deployment]) -> None:
        imported = demo.ensure_prompts()
        study = demo.ensure_study(deployments=deployments, versions={}, now=make.NOW)
        assert imported >= 60
        assert study.responses.count() == 2 * imported
        assert {deployment.state for deployment in study.deployments.all()} == {"evaluating"}
        assert demo.ensure_prompts() == 0

    def test_can_be_limited_to_some_of_each_category_and_role(self, deployments: list[Deployment]) -> None:
        demo.ensure_prompts()
        study = demo.ensure_study(deployments=deployments, versions={}, now=make.NOW, limit=1)
        asked = study.prompts.values_list("category__name", "role")
        assert len(asked) == len(set(asked)) == 10
        assert set(Prompt.objects.values_list("category__name", flat=True)) == {name for name, _ in asked}

    def test_measures_an_answer_again_whose_energy_has_a_gap(self, deployments: list[Deployment]) -> None:
        demo.ensure_prompts()
        study = demo.ensure_study(deployments=deployments, versions={}, now=make.NOW, limit=1)
        assert Study.objects.get(pk=study.pk).measure_again_count > 0

    def test_goes_on_with_the_one_that_is_there(self, deployments: list[Deployment]) -> None:
        demo.ensure_prompts()
        first = demo.ensure_study(deployments=deployments, versions={}, now=make.NOW, limit=1)
        again = demo.ensure_study(deployments=deployments, versions={}, now=make.NOW + timedelta(days=1))
        assert again == first
        assert Study.objects.count() == 1

    def test_activates_its_models_but_not_the_retired(self, deployments: list[Deployment]) -> None:
        demo.ensure_prompts()
        study = demo.ensure_study(deployments=deployments, versions={}, now=make.NOW, limit=1)
        retire(deployment=deployments[1], now=make.NOW)
        assert demo.activate_measured(study=study, now=make.NOW) == [deployments[0]]
        assert demo.activate_measured(study=study, now=make.NOW) == []
        assert set(study.deployments.values_list("language_model__name", "state")) == {
            ("one", "active"),
            ("two", "retired"),
        }
