import pytest

from router.checking import OF_MARGINS, VERSIONS, Checked, Finding
from router.checking.log_margin import LogMarginChecker, log_margin_checkers


def checked(margin: float | None) -> Checked:
    return Checked("Who wrote Faust?", "facts", "Goethe.", mean_margin_nats=margin)


@pytest.mark.parametrize(
    ("margin", "finding"),
    [(3.9, Finding.REJECT), (4.0, Finding.ACCEPT), (9.0, Finding.ACCEPT), (None, Finding.UNKNOWN)],
)
def test_goes_by_the_mean_margin(margin: float | None, finding: Finding) -> None:
    assert LogMarginChecker(4).check(checked(margin)).finding is finding


def test_says_why_it_cannot_tell() -> None:
    assert "Its server gave no log probabilities" in LogMarginChecker(4).check(checked(None)).reason


def test_is_measured_at_several_thresholds() -> None:
    assert {one.name for one in log_margin_checkers()} == OF_MARGINS == {"log_margin_2", "log_margin_4", "log_margin_6"}
    assert set(VERSIONS) >= OF_MARGINS
