import pytest

from router.rates import RateLimited, Taken, Want, duration, taken, tokens_wanted
from router.terms import Terms

BOTH = Terms(7, requests_per_minute=60, tokens_per_minute=6000)


class TestDuration:
    @pytest.mark.parametrize(
        ("seconds", "told"),
        [
            (0, "0s"),
            (-3.0, "0s"),
            (0.0001, "1ms"),
            (0.12, "120ms"),
            (1, "1s"),
            (1.2, "2s"),
            (59.5, "1m0s"),
            (360, "6m0s"),
            (3725, "1h2m5s"),
        ],
    )
    def test_is_written_as_openai_does(self, seconds: float, told: str) -> None:
        assert duration(seconds) == told


class TestTokensWanted:
    def test_counts_four_characters_of_the_prompt_and_the_longest_answer(self) -> None:
        assert tokens_wanted(9, 100) == 103
        assert tokens_wanted(0, None) == 0


class TestTaken:
    def test_tells_both_limits(self) -> None:
        found = taken(BOTH, Want(1, 10), [1, b"58.5", b"5900"])
        assert found.headers == {
            "x-ratelimit-limit-requests": "60",
            "x-ratelimit-remaining-requests": "58",
            "x-ratelimit-reset-requests": "2s",  # 1.5 are lacking, one comes back each second
            "x-ratelimit-limit-tokens": "6000",
            "x-ratelimit-remaining-tokens": "5900",
            "x-ratelimit-reset-tokens": "1s",
        }
        assert found.left == {"requests": 58, "tokens": 5900}

    def test_tells_nothing_of_a_limit_that_there_is_not(self) -> None:
        found = taken(Terms(7, requests_per_minute=60), Want(1, 10), [1, b"59", b"0"])
        assert "x-ratelimit-limit-tokens" not in found.headers
        assert found.left == {"requests": 59, "tokens": None}

    def test_in_debt_has_nothing_left(self) -> None:
        found = taken(BOTH, Want(1, 10), [0, b"59", b"-3000"])
        assert found.headers["x-ratelimit-remaining-tokens"] == "0"
        assert found.headers["x-ratelimit-reset-tokens"] == "1m30s"

    @pytest.mark.parametrize(
        ("requests", "tokens", "name", "wait_s", "wait_ms"),
        [
            pytest.param(0.25, 6000, "60 requests", 1, "750", id="requests"),
            pytest.param(59, -100, "6000 tokens", 2, "1100", id="tokens in debt"),
            pytest.param(0.5, 0, "60 requests", 1, "500", id="the longer of both"),
        ],
    )
    def test_refused_names_the_limit_and_the_wait(
        self, requests: float, tokens: float, name: str, wait_s: int, wait_ms: str
    ) -> None:
        refused = Taken(BOTH, Want(1, 10), False, requests, tokens).refusal()
        assert isinstance(refused, RateLimited)
        assert name in str(refused)
        assert (refused.status, refused.kind, refused.code) == (429, "rate_limit_error", "rate_limit_exceeded")
        assert (refused.retry_after_s, refused.headers["retry-after-ms"]) == (wait_s, wait_ms)

    def test_of_a_request_larger_than_the_minute_waits_for_a_full_one(self) -> None:
        refused = Taken(BOTH, Want(1, 100_000), False, 60, 3000).refusal()
        assert refused.retry_after_s == 30
