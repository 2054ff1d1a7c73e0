"""A federation with many known prompts and a new model that is right everywhere and cheaper than the large one."""

from dataclasses import dataclass

from benchmarks.models import Deployment, ParameterSet, Prompt, Study, StudyPrompt
from router.models import PromptIndex
from tests import factories as make
from tests.router.standins import Federation, make_federation, make_index

PAIRS = 20  # prompts of each kind beside the two of the small federation


@dataclass(frozen=True)
class Wide:
    """The small federation with more prompts, measured by one finished study, and a candidate without answers."""

    federation: Federation
    prompts: list[Prompt]
    reference: Study
    index: PromptIndex
    new: Deployment


def make_wide(base_url: str = "http://127.0.0.1:1") -> Wide:
    federation = make_federation(base_url)
    machine = federation.server.machine
    reference = make.make_study("reference", machine=machine, state=Study.State.FINISHED, finished_at=make.NOW)
    ParameterSet.objects.filter(study=reference).update(seed=7, num_predict=32)
    Study.objects.filter(pk=reference.pk).update(cooldown_limit_c=0, sampling_period_ms=20, warm_up_count=1)
    small, large = federation.small, federation.large
    more = make.make_known(
        *(
            (text, category, {small: (10.0, verdict), large: (90.0, "correct")})
            for number in range(PAIRS)
            for text, category, verdict in (
                (f"what is two plus item{number}", "math", "correct"),
                (f"write a python function item{number}", "code", "incorrect"),
            )
        ),
        study=reference,
    )
    StudyPrompt.objects.bulk_create(
        StudyPrompt(study=reference, prompt=prompt, position=position) for position, prompt in enumerate(more, start=2)
    )
    prompts = [federation.math, federation.code, *more]
    index = make_index(prompts, embedder=federation.embedder, store=federation.store)
    new = make.make_deployment("new", state="candidate", server=federation.server)
    reference.refresh_from_db()
    return Wide(federation, prompts, reference, index, new)


def answer_all(wide: Wide, *, energy_j: float = 30.0, verdict: str = "correct", quality: str = "estimated") -> None:
    """Let the new model answer every known prompt."""
    study = make.make_study(state=Study.State.FINISHED, finished_at=make.NOW)
    facts = {"energy_j": energy_j, "verdict": verdict, "quality": quality}
    make.make_responses(((prompt, wide.new, facts) for prompt in wide.prompts), study=study)
