"""Against the real Valkey of the tests."""

import logging
from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest
import redis
from django.conf import settings

from router.limiting import BlockingLimiter, Limiter
from router.rates import RateLimited, Taken, Want, bucket_of
from router.terms import Terms

ONE = Want(1, 10)
AWAY = "unix:///nowhere/valkey.sock"
_key_ids = count(10_000_000)


@pytest.fixture
def store() -> Iterator["redis.Redis[bytes]"]:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        yield client


@pytest.fixture
async def limiter() -> AsyncIterator[Limiter]:
    limiter = Limiter(settings.REDIS_URL)
    yield limiter
    await limiter.close()


def terms(requests: int | None = 2, tokens: int | None = None) -> Terms:
    return Terms(next(_key_ids), requests_per_minute=requests, tokens_per_minute=tokens)


def turn_back(store: "redis.Redis[bytes]", of: Terms, seconds: float) -> None:
    """Let time pass for a bucket, as if it had been left so long ago."""
    at = store.hget(bucket_of(of), "at")
    assert at is not None
    store.hset(bucket_of(of), "at", float(at) - seconds)


async def take(limiter: Limiter, of: Terms, want: Want = ONE) -> Taken:
    found = await limiter.take(of, want)
    assert found is not None
    return found


class TestLimiter:
    async def test_refuses_what_is_more_than_a_minute_allows(self, limiter: Limiter) -> None:
        of = terms(2)
        assert [(await take(limiter, of)).left["requests"] for _ in range(2)] == [1, 0]
        with pytest.raises(RateLimited, match="2 requests a minute") as refused:
            await limiter.take(of, ONE)
        assert 28 <= refused.value.retry_after_s <= 30

    async def test_fills_up_steadily_and_no_further(self, limiter: Limiter, store: "redis.Redis[bytes]") -> None:
        of = terms(2)
        for _ in range(2):
            await take(limiter, of)
        turn_back(store, of, 30.1)
        await take(limiter, of)
        with pytest.raises(RateLimited):
            await limiter.take(of, ONE)
        turn_back(store, of, 3600)
        assert (await take(limiter, of)).left["requests"] == 1

    async def test_counts_one_key_apart_from_another(self, limiter: Limiter) -> None:
        await take(limiter, terms(1))
        await take(limiter, terms(1))

    async def test_counts_with_other_processes(self, limiter: Limiter) -> None:
        of, other = terms(2), Limiter(settings.REDIS_URL)
        await take(limiter, of)
        await take(other, of)
        with pytest.raises(RateLimited):
            await limiter.take(of, ONE)
        await other.close()

    async def test_of_tokens_is_set_right_at_the_end(self, limiter: Limiter) -> None:
        of = terms(None, 100)
        first = await take(limiter, of, Want(1, 50))
        limiter.settle(first, 250)
        await limiter.close()  # which waits for it
        later = Limiter(settings.REDIS_URL)
        with pytest.raises(RateLimited, match="100 tokens a minute") as refused:
            await later.take(of, ONE)
        assert 94 <= refused.value.retry_after_s <= 96  # 150 in debt, and 10 wanted
        await later.close()

    async def test_gives_back_what_was_not_used(self, limiter: Limiter) -> None:
        of = terms(None, 100)
        first = await take(limiter, of, Want(1, 90))
        limiter.settle(first, 0)
        await limiter.close()
        later = Limiter(settings.REDIS_URL)
        assert (await take(later, of, Want(1, 90))).left["tokens"] == 10
        await later.close()

    async def test_takes_nothing_of_what_it_refuses(self, limiter: Limiter) -> None:
        of = terms(1, 100)
        await take(limiter, of, Want(1, 10))
        for _ in range(3):
            with pytest.raises(RateLimited, match="1 requests"):
                await limiter.take(of, Want(1, 10))
        assert BlockingLimiter(settings.REDIS_URL).look(of) is not None
        found = BlockingLimiter(settings.REDIS_URL).look(of)
        assert found is not None
        assert found.left["tokens"] == 90

    async def test_lets_a_request_that_wants_more_than_a_minute_pass_when_all_is_there(self, limiter: Limiter) -> None:
        of = terms(None, 100)
        assert (await take(limiter, of, Want(1, 500))).left["tokens"] == 0
        with pytest.raises(RateLimited):
            await limiter.take(of, Want(1, 500))

    async def test_leaves_no_bucket_for_ever(self, limiter: Limiter, store: "redis.Redis[bytes]") -> None:
        of = terms(2)
        await take(limiter, of)
        assert 60 < store.ttl(bucket_of(of)) <= 120


class TestAway:
    async def test_lets_every_request_pass_and_says_so_once(self, caplog: pytest.LogCaptureFixture) -> None:
        limiter = Limiter(AWAY)
        with caplog.at_level(logging.WARNING):
            assert [await limiter.take(terms(1), ONE) for _ in range(3)] == [None] * 3
        [record] = caplog.records
        assert "not counted" in record.message
        await limiter.close()

    def test_holds_for_views_that_block(self, caplog: pytest.LogCaptureFixture) -> None:
        limiter, of = BlockingLimiter(AWAY), terms(1)
        with caplog.at_level(logging.WARNING):
            assert [limiter.take(of, ONE) for _ in range(3)] == [None] * 3
        assert len(caplog.records) == 1
        limiter.settle(None, 5)


class TestBlockingLimiter:
    def test_counts_with_the_other_one(self) -> None:
        of, limiter = terms(1, 100), BlockingLimiter(settings.REDIS_URL)
        found = limiter.take(of, ONE)
        limiter.settle(found, 30)
        with pytest.raises(RateLimited):
            limiter.take(of, ONE)
        looked = limiter.look(of)
        assert looked is not None
        assert looked.left == {"requests": 0, "tokens": 70}
