"""A cascade as a conversation with whoever can ask: whom to ask next, what to check, whose answer stands.

It asks nobody itself, so that a thread and an event loop go by the same rule.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.inference.base import Generation, TextChunk
from router.checking import OF_MARGINS, Check, Checked, Finding, question_for_second
from router.generating import storable
from router.policy import Evidence, PlannedRun
from router.steps import Step

_LONGEST_REASON = 500  # characters


@dataclass(frozen=True)
class Ask:
    """Have one model answer, whole: a question about an earlier answer, or (None) what the request asks.

    `is_further` is whether another one was asked before it, `is_margin_wanted` whether its checker goes by log
    probabilities.
    """

    evidence: Evidence
    is_further: bool
    question: str | None = None
    is_margin_wanted: bool = False


@dataclass(frozen=True)
class Asked:
    """How that went: the number of the attempt, None where none was made, and the answer or why there is none."""

    attempt_number: int | None
    said: Generation | Exception


@dataclass(frozen=True)
class Verify:
    """Have a checker read an answer."""

    checker: str
    checked: Checked


@dataclass(frozen=True)
class Stood:
    """Whose answer stands, and what was discarded for it.

    `generation` is None where nothing was accepted, so that the last model has still to answer. `told` says in words
    what happened.
    """

    deployment_id: int
    steps: tuple[Step, ...]
    generation: Generation | None
    told: str


Turns = Generator[Ask | Verify, Asked | Check, Stood]


def take_turns(
    *,
    request_id: str,
    plan: Sequence[PlannedRun],
    prompt_text: str,
    earlier: str = "",
    category: str,
    evidence: Mapping[int, Evidence],
) -> Turns:
    """Go through a plan but its last model, until a checker accepts an answer; return whose answer stands.

    It yields what shall be done, and wants an `Asked` for each `Ask` and a `Check` for each `Verify`. Nothing of an
    answer may leave before it is accepted. A model whose server fails is passed over, as is one whose checker cannot
    tell; each such run is charged, as is what was asked for comparison alone or about an answer. Where no attempt was
    made nothing is charged.

    Args:
        request_id: the public one of the request.
        plan: who is asked in turn; the last one is not checked.
        prompt_text: what is checked against.
        earlier: the turns before it, in words.
        category: that of the prompt.
        evidence: what is known of each deployment here, for its expected SCI.
    """
    charged = _Charged(request_id, evidence)
    is_further = False
    for run in plan[:-1]:
        first = yield from _ask(
            Ask(evidence[run.deployment_id], is_further, is_margin_wanted=run.checker in OF_MARGINS)
        )  # fmt: skip
        is_further = True
        if isinstance(first.said, Exception):
            charged.failed(run.deployment_id, first, first.said)
            continue
        checked = Checked(
            prompt_text, category, first.said.text, mean_margin_nats=first.said.mean_margin_nats, earlier=earlier
        )  # fmt: skip
        if run.second_id is not None:
            checked = yield from _ask_second(run, evidence[run.second_id], checked, charged)
        check = yield from _verify(run, checked)
        if check.finding is Finding.ACCEPT:
            told = (
                f"{run.checker} accepted the answer of {evidence[run.deployment_id].model}: {_storable(check.reason)}"
            )
            return Stood(run.deployment_id, tuple(charged.steps), first.said, f"{told}{charged.words}")
        charged.add(run.deployment_id, first, run.checker, check.reason)
    last = plan[-1].deployment_id
    told = f"No earlier answer was accepted, so {evidence[last].model} answered."
    return Stood(last, tuple(charged.steps), None, f"{told}{charged.words}")


def pieces_of(generation: Generation) -> tuple[TextChunk, ...]:
    """Give an answer that is whole already as the stream of it would have come."""
    thought = (TextChunk(generation.thinking, is_thinking=True),) if generation.thinking else ()
    return (*thought, TextChunk(generation.text)) if generation.text else thought


def _ask(wanted: Ask) -> Generator[Ask | Verify, Asked | Check, Asked]:
    asked = yield wanted
    assert isinstance(asked, Asked)  # noqa: S101
    return asked


def _ask_second(
    run: PlannedRun, evidence: Evidence, checked: Checked, charged: "_Charged"
) -> Generator[Ask | Verify, Asked | Check, Checked]:
    """Ask the other model that a checker needs, and return what that shall read; where it fails, the answer alone."""
    question = question_for_second(run.checker, checked)
    second = yield from _ask(Ask(evidence, is_further=True, question=question))
    if isinstance(second.said, Exception):
        charged.failed(evidence.deployment_id, second, second.said, run.checker)
        return checked
    why = "for comparison alone" if question is None else "to judge the answer"
    charged.add(evidence.deployment_id, second, run.checker, f"It was asked {why}.")
    return replace(checked, other_answer=second.said.text)


def _verify(run: PlannedRun, checked: Checked) -> Generator[Ask | Verify, Asked | Check, Check]:
    check = yield Verify(run.checker, checked)
    assert isinstance(check, Check)  # noqa: S101
    return check


class _Charged:
    """The runs that were discarded, and the models that were passed over without a run."""

    def __init__(self, request_id: str, evidence: Mapping[int, Evidence]) -> None:
        self._request_id, self._evidence = request_id, evidence
        self._passed_over: list[str] = []
        self.steps: list[Step] = []

    @property
    def words(self) -> str:
        """Return in words what happened before, with a space before it; nothing where nothing did."""
        told = [f"Passed over: {'; '.join(self._passed_over)}."] if self._passed_over else []
        if self.steps:
            runs = "; ".join(f"{step.model} ({step.reason.rstrip('.')})" for step in self.steps)
            told.append(f"Discarded, and charged to this answer: {runs}.")
        return "".join(f" {one}" for one in told)

    def add(self, deployment_id: int, asked: Asked, checker: str, reason: str) -> None:
        """Charge a run."""
        known = self._evidence[deployment_id]
        if asked.attempt_number is None:
            self._passed_over.append(f"{known.model} ({_storable(reason).rstrip('.')})")
            return
        self.steps.append(
            Step(
                request_id=self._request_id,
                attempt_number=asked.attempt_number,
                deployment_id=deployment_id,
                model=known.model,
                checker=checker,
                reason=_storable(reason),
                sci_gco2e=known.sci_gco2e,
                quality=known.quality,
            )
        )

    def failed(self, deployment_id: int, asked: Asked, error: Exception, checker: str = "") -> None:
        """Charge a run that brought no answer."""
        self.add(deployment_id, asked, checker, f"Its server failed: {error}")


def _storable(reason: str) -> str:
    return storable(reason)[:_LONGEST_REASON]
