import pytest

from router.checking.base import Checked, Finding
from router.checking.person import PersonChecker


class TestPerson:
    @pytest.mark.parametrize(
        ("is_refused", "finding"), [(True, Finding.REJECT), (False, Finding.UNKNOWN), (None, Finding.UNKNOWN)]
    )
    def test_refuses_what_was_refused_and_takes_silence_for_nothing(
        self, is_refused: bool | None, finding: Finding
    ) -> None:
        check = PersonChecker().check(Checked("What is two plus two?", "math", "Five.", is_refused=is_refused))
        assert check.finding is finding
        assert check.reason
