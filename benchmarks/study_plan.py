"""What a study is to be, and what it cannot be: its parameters, and the rules that its making obeys."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.meters.configuration import MIN_PERIOD_MS
from benchmarks.models import Deployment, Machine, Prompt, Study
from benchmarks.models.study import (
    MAX_BACK_TO_BACK,
    MAX_CONTROL_EVERY,
    MAX_IDLE_BASELINE_S,
    MAX_MEASURE_AGAIN_COUNT,
    MAX_WARM_UP_COUNT,
)

_STUDY_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
MAX_RESPONSES = 100_000  # a slip of the pen in a form shall not fill the table
_RESERVED_NAMES = frozenset({"new", "import", "compare"})  # addresses of the pages
_INT16_MAX, _INT32_MAX, _INT64_MAX = 2**15 - 1, 2**31 - 1, 2**63 - 1  # what the columns hold


class StudyError(ValueError):
    """The study cannot be made or cannot take that step; the message tells why and what to do.

    `field` names the argument or parameter that is wrong, where it is one.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Parameters:
    """Generation parameters of a study, by the names that Ollama gives them.

    `num_ctx` is None for the server's own: only Ollama takes it from a request. A study of several sets tells
    them apart by `name`.
    """

    seed: int = 42
    temperature: float = 0.0
    num_ctx: int | None = 2048
    num_predict: int = 256
    top_p: float | None = None
    top_k: int | None = None
    extras: dict[str, Any] = field(default_factory=dict)
    name: str = "default"


@dataclass(frozen=True)
class Design:
    """What a study does beside its answers; nothing of it where nothing is said.

    `warm_up_count` answers of each model are thrown away before its first measured one; idle is measured for
    `idle_baseline_s` seconds before the first answer and after the last. A measurement spans `back_to_back`
    generations of one prompt. The control workload is measured at start and end and after every `control_every`
    responses; 0 is never. A response whose energy has a gap is measured again, `measure_again_count` times at most.
    """

    warm_up_count: int = 0
    idle_baseline_s: float = 0.0
    back_to_back: int = 1
    control_every: int = 0
    measure_again_count: int = 0


def check_design(design: Design, deployments: Sequence[Deployment]) -> None:
    """Refuse what is out of its range, or what those who are asked cannot do.

    Raises:
        StudyError: which says what is wrong and what to do.
    """
    _check_ranges(
        ("warm_up_count", design.warm_up_count, 0, MAX_WARM_UP_COUNT),
        ("back_to_back", design.back_to_back, 1, MAX_BACK_TO_BACK),
        ("idle_baseline_s", design.idle_baseline_s, 0, MAX_IDLE_BASELINE_S),
        ("control_every", design.control_every, 0, MAX_CONTROL_EVERY),
        ("measure_again_count", design.measure_again_count, 0, MAX_MEASURE_AGAIN_COUNT),
    )
    if design.control_every and any(deployment.server.is_router for deployment in deployments):
        raise StudyError(
            "A router is no control workload, because it may choose another model each time. Leave control_every at "
            "0, and see the drift of the machine in a study of models.",
            field="control_every",
        )


def _check_ranges(*ranges: tuple[str, float | None, float, float]) -> None:
    for name, value, low, high in ranges:
        if value is not None and not (low <= value <= high and math.isfinite(value)):
            raise StudyError(f"{name} must be from {low} to {high}, not {value}.", field=name)


def check_choice(name: str, machine: Machine, deployments: Sequence[Deployment], prompts: Sequence[Prompt]) -> None:
    """Refuse a study whose name, prompts or models cannot be.

    Raises:
        StudyError: which says what is wrong and what to do.
    """
    check_free_name(name)
    if not prompts:
        message = f"The study {name!r} has no prompts; import some with manage.py import_dataset or import_prompts."
        raise StudyError(message, field="prompts")
    if not deployments:
        raise StudyError(f"The study {name!r} has no models; add some with manage.py add_model.", field="deployments")
    if len({deployment.server.is_router for deployment in deployments}) > 1:
        message = f"The study {name!r} mixes a router with models; a study of the router asks the router alone."
        raise StudyError(message, field="deployments")
    for field_name, what, chosen in (("deployments", "model", deployments), ("prompts", "prompt", prompts)):
        twice = [str(one) for one, count in Counter(chosen).items() if count > 1]
        if twice:
            message = f"The study {name!r} names a {what} more than once: {', '.join(twice)}."
            raise StudyError(message, field=field_name)
    for deployment in deployments:
        if deployment.state == Deployment.State.RETIRED:
            message = f"{deployment} was retired; add it again before measuring it."
            raise StudyError(message, field="deployments")
        if deployment.server.machine_id != machine.pk:
            message = f"{deployment} is not on the machine {machine}; a study measures one machine."
            raise StudyError(message, field="deployments")


def check_name(name: str) -> None:
    """Refuse what a study may not be named, whether or not one has the name already.

    Raises:
        StudyError: which says what is wrong.
    """
    if not _STUDY_NAME.fullmatch(name):
        message = f"{name!r} is not a name of at most 80 letters, digits, hyphens and underscores."
        raise StudyError(message, field="name")
    if name in _RESERVED_NAMES:
        raise StudyError(f"{name!r} is an address of the pages; choose another name.", field="name")


def check_free_name(name: str) -> None:
    """Refuse what a study may not be named, or what another one is.

    Raises:
        StudyError: which says what is wrong.
    """
    check_name(name)
    if Study.objects.filter(name=name).exists():
        raise StudyError(f"There is a study {name!r} already; choose another name.", field="name")


def check_names(points: Sequence[Parameters]) -> None:
    """Refuse a study without parameters, or with two sets of one name.

    Raises:
        StudyError: which says what is wrong.
    """
    if not points:
        raise StudyError("A study needs at least one set of parameters.", field="parameters")
    twice = [name for name, count in Counter(point.name for point in points).items() if count > 1]
    if twice:
        raise StudyError(f"Two sets of parameters have the name {twice[0]!r}.", field="parameters")


def check_numbers(parameters: Parameters, repeats: int, sampling_period_ms: int, order_seed: int) -> None:
    """Refuse a number that is out of its range, or that a column cannot hold.

    Raises:
        StudyError: which says what is wrong and what to do.
    """
    _check_ranges(
        ("repeats", repeats, 1, _INT16_MAX),
        ("order_seed", order_seed, -_INT64_MAX, _INT64_MAX),
        ("sampling_period_ms", sampling_period_ms, MIN_PERIOD_MS, 60_000),
        ("seed", parameters.seed, -_INT64_MAX, _INT64_MAX),
        ("temperature", parameters.temperature, 0, math.inf),
        ("num_ctx", parameters.num_ctx, 1, _INT32_MAX),
        ("num_predict", parameters.num_predict, 1, _INT32_MAX),
        ("top_p", parameters.top_p, 0, 1),
        ("top_k", parameters.top_k, 0, _INT32_MAX),
    )


def check_size(response_count: int) -> None:
    """Refuse a study of more responses than anybody means.

    Raises:
        StudyError: which says what is wrong and what to do.
    """
    if response_count > MAX_RESPONSES:
        raise StudyError(
            f"The study would have {response_count:,} responses, at most {MAX_RESPONSES:,} are taken; choose fewer "
            "prompts, models or repeats, or fewer values of a sweep.",
            field="repeats",
        )
