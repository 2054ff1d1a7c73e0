"""Checkers: each says of one answer whether it may stand (docs/routing.md)."""

from collections.abc import Callable, Mapping

from labeling.sandbox import Sandbox
from router.checking.agreement import AgreementChecker
from router.checking.base import Check, Checked, Checker, Finding
from router.checking.judge import JUDGING, JudgeChecker, judge_question
from router.checking.log_margin import LogMarginChecker, log_margin_checkers
from router.checking.number_format import NumberFormatChecker
from router.checking.prompt_tests import PromptTestsChecker
from router.checking.queries import QueryChecker

_Named = type[NumberFormatChecker | AgreementChecker | PromptTestsChecker | QueryChecker | JudgeChecker]
_EVERY: tuple[_Named | LogMarginChecker, ...] = (
    NumberFormatChecker, AgreementChecker, PromptTestsChecker, QueryChecker, JudgeChecker, *log_margin_checkers(),
)  # fmt: skip

# the rules that count; figures of another version do not count for a checker
VERSIONS: Mapping[str, int] = {one.name: one.version for one in _EVERY}

# these can judge an answer at the end of a conversation
OF_CONVERSATIONS = frozenset(one.name for one in _EVERY if one.reads_conversations)

# what these read, a server has to be asked for together with the answer
OF_MARGINS = frozenset(one.name for one in log_margin_checkers())

JUDGE = JudgeChecker.name  # whom it asks is chosen by a person


def all_checkers(*, find_sandbox: Callable[[], Sandbox]) -> Mapping[str, Checker]:
    """Return every checker that a machine runs, by name; the sandbox is looked for when the first code is run."""
    made: tuple[Checker, ...] = (
        NumberFormatChecker(), AgreementChecker(), PromptTestsChecker(find_sandbox), QueryChecker(),
        JudgeChecker(), *log_margin_checkers(),
    )  # fmt: skip
    return {one.name: one for one in made}


def question_for_second(checker: str, checked: Checked) -> str | None:
    """Return what a checker has a second model asked; None: the prompt itself, or nothing."""
    return judge_question(checked) if checker == JUDGE else None


__all__ = [
    "JUDGE",
    "JUDGING",
    "OF_CONVERSATIONS",
    "OF_MARGINS",
    "VERSIONS",
    "Check",
    "Checked",
    "Checker",
    "Finding",
    "all_checkers",
    "question_for_second",
]
