"""What the drill's installation holds before the first fault: people, answers to judge, and a study that runs."""

import os
from dataclasses import dataclass

from tests.drill.place import MACHINE, Place

ANSWERS = 8_000  # to judge
JUDGES = 3
REPEATS = 60
_STUDY = "drill"


@dataclass(frozen=True)
class Furnished:
    """Who takes part, by their primary keys and sessions, and the study."""

    judges: tuple[tuple[int, str], ...]
    admin_session: str
    study_id: int


def furnish(place: Place) -> Furnished:
    """Make what the loads need; the installation runs already."""
    os.environ.update({name: place.env[name] for name in place.env if name.startswith(("GREENLLM_", "OLLAMA_"))})
    os.environ["DJANGO_SETTINGS_MODULE"] = "greenllm.settings"
    import django

    django.setup()
    from django.conf import settings
    from django.utils import timezone

    from benchmarks.choosing import choose_prompts
    from benchmarks.launching import launch
    from benchmarks.models import Deployment, Machine, Study
    from benchmarks.queueing import enqueue_study
    from benchmarks.studying import Parameters, create_study
    from greenllm import demo
    from greenllm.models import User
    from tests.labeling.queues import make_annotator, make_many_answers

    meter = {"kind": "mcp", "options": {"port": str(place.board), "is_simulated": True}}
    Machine.objects.filter(name=MACHINE).update(meters=[meter])
    make_many_answers(ANSWERS)
    Study.objects.filter(name="many").update(state=Study.State.FINISHED)
    elsewhere = Deployment.objects.active().exclude(server__machine__name=MACHINE)
    elsewhere.update(state=Deployment.State.RETIRED)  # of those answers; no server is there that could be asked
    study = create_study(
        name=_STUDY,
        machine=Machine.objects.get(name=MACHINE),
        deployments=list(Deployment.objects.active().order_by("pk")),
        prompts=list(choose_prompts(datasets=[demo.DATASET], limit=5)),
        parameters=Parameters(seed=1, temperature=0.0, num_ctx=2048, num_predict=32),
        repeats=REPEATS,
    )
    study.cooldown_limit_c = 0
    study.save(update_fields=["cooldown_limit_c"])
    launch(study=study, now=timezone.now())
    enqueue_study(study=study)
    people = [make_annotator(f"judge-{number}") for number in range(JUDGES)]
    assert place.var_dir.resolve() == settings.VAR_DIR
    return Furnished(
        judges=tuple((person.pk, _session(person)) for person in people),
        admin_session=_session(User.objects.get(username="admin")),
        study_id=study.pk,
    )


def _session(person: object) -> str:
    from greenllm.models import User
    from tests.browsing import session_of

    assert isinstance(person, User)
    return session_of(person)
