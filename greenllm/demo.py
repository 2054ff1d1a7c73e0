"""The demo: its people, its federation and its study; every step goes on from what is there."""

import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import benchmarks.datasets
from benchmarks.choosing import choose_prompts
from benchmarks.federating import activate, add_model, begin_evaluation, ensure_machine, ensure_server
from benchmarks.importing import import_prompts
from benchmarks.inference.base import InferenceClient, InferenceError
from benchmarks.models import Deployment, InferenceServer, Study
from benchmarks.models.study import USUAL_MEASURE_AGAIN_COUNT
from benchmarks.study_plan import Design
from benchmarks.studying import Parameters, create_study
from greenllm.models import User
from greenllm.roles import Role, grant_role
from labeling.switching import switch_on_where_nobody_decided
from router.keys import create_key, find_key

DATASET = "greenllm-demo"
STUDY = "demo"
MODELS = ("smollm2:135m", "smollm2:135m-q8_0", "smollm2:135m-q3_k")
# without a penalty on repeated tokens, because short sums repeat the digits of their question
PARAMETERS = Parameters(seed=42, temperature=0.0, num_ctx=2048, num_predict=64, extras={"repeat_penalty": 1.0})
PROMPT_FILES = Path(benchmarks.datasets.__file__).parent / "demo"
_LICENCE = "Apache-2.0, written for GreenLLM"


class ModelsNotReady(RuntimeError):
    """The server does not offer the demo's models in time."""


@dataclass(frozen=True)
class NewPerson:
    """A person made just now, and the only showing of the password."""

    username: str
    password: str


def ensure_people() -> list[NewPerson]:
    """Make the admin and the annotator where they are missing; return only those made just now."""
    made = []
    for username, role, is_admin in (("admin", Role.ADMIN, True), ("annotator", Role.ANNOTATOR, False)):
        if User.objects.filter(username=username).exists():
            continue
        password = secrets.token_urlsafe(12)
        user = User.objects.create_user(username, password=password, is_staff=is_admin, is_superuser=is_admin)
        grant_role(user=user, role=role)
        made.append(NewPerson(username, password))
    return made


def ensure_api_key(path: Path) -> str | None:
    """Leave a working API key of the admin in a private file; return it only where it was made just now."""
    try:
        stored = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        stored = ""
    if stored and find_key(secret=stored) is not None:
        return None
    made = create_key(owner_id=User.objects.get(username="admin").pk, name="demo")
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(made.secret + "\n")
    return made.secret


def ensure_prompts() -> int:
    """Import the demo's own prompts; return how many are new."""
    return sum(
        import_prompts(path=path, dataset_name=DATASET, category_name=path.stem, licence=_LICENCE).created_count
        for path in sorted(PROMPT_FILES.glob("*.jsonl"))
    )


def switch_on_graders() -> list[str]:
    """Let graders label in the demo's categories that have no rule of their own; return the names of these."""
    return switch_on_where_nobody_decided(category_names=[path.stem for path in PROMPT_FILES.glob("*.jsonl")])


def ensure_demo_server(*, machine_name: str, base_url: str) -> InferenceServer:
    """Return the server that the demo asks, on the machine of this installation."""
    return ensure_server(base_url=base_url, machine=ensure_machine(name=machine_name))


def wait_for_models(
    *,
    client: InferenceClient,
    names: Sequence[str],
    timeout_s: float,
    on_wait: Callable[[list[str]], None],
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until a server offers models; the embedded one makes some of them at its first start.

    Raises:
        ModelsNotReady: some are still missing after the time.
    """
    deadline = monotonic() + timeout_s
    while True:
        try:
            offered = {model.name.removesuffix(":latest") for model in client.list_models()}
        except InferenceError:
            offered = set()
        missing = [name for name in names if name not in offered]
        if not missing:
            return
        if monotonic() >= deadline:
            raise ModelsNotReady(
                f"The inference server does not offer {', '.join(missing)} after {timeout_s:.0f} s. The embedded one "
                f"writes to var/log/llm.log; where OLLAMA_HOST is set, unset it to use the embedded server."
            )
        on_wait(missing)
        sleep(0.5)


def ensure_federation(
    *, server: InferenceServer, client: InferenceClient, embedder_name: str, now: datetime
) -> list[Deployment]:
    """Add the demo's models and the embedder; return the models in the order of the study."""
    add_model(name=embedder_name, server=server, client=client, now=now)
    return [add_model(name=name, server=server, client=client, now=now) for name in MODELS]


def ensure_study(
    *, deployments: Sequence[Deployment], versions: dict[int, str], now: datetime, limit: int | None = None
) -> Study:
    """Return the demo's study, made where it is missing; `limit` prompts of each category and role, else all."""
    study = Study.objects.filter(name=STUDY).first()
    if study is not None:
        return study
    study = create_study(
        name=STUDY,
        machine=deployments[0].server.machine,
        deployments=deployments,
        prompts=list(choose_prompts(datasets=[DATASET], limit=limit, is_limit_per_role=True)),
        parameters=PARAMETERS,
        design=Design(measure_again_count=USUAL_MEASURE_AGAIN_COUNT),
        server_versions=versions,
    )
    # No waiting for a cool machine: an estimate knows no temperature, and a warm laptop would wait before every answer.
    study.cooldown_limit_c = 0
    study.save(update_fields=["cooldown_limit_c"])
    for deployment in deployments:
        begin_evaluation(deployment=deployment, now=now)
    return study


def activate_measured(*, study: Study, now: datetime) -> list[Deployment]:
    """Let the router choose the study's models, but for those that an admin retired; return the new ones."""
    states = [Deployment.State.CANDIDATE, Deployment.State.EVALUATING, Deployment.State.LABELING]
    waiting = list(study.deployments.filter(state__in=states).order_by("pk"))
    for deployment in waiting:
        activate(deployment=deployment, now=now)
    return waiting
