"""Wrong keys of one address are refused before long, and right ones never."""

import json
from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from router import metrics
from router.guessing import GUESSES, WINDOW_S, Guesses, TooManyWrongKeys, network_of, wrong_keys_limited
from router.keys import create_key, revoke_key
from router.terms import Denial
from router.wires.fields import WireError
from tests import factories as make
from tests.router.endpoint import CHAT, COMMITTED, Endpoint, error_of

HERE = "203.0.113.7"


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guesses(clock: Clock) -> Guesses:
    return Guesses(clock=clock, most_addresses=3)


def add(guesses: Guesses, address: str, secret: str = "wrong", most: int = 2) -> bool:
    """Count a wrong key; tell whether its address was told to wait."""
    try:
        guesses.add(address, secret, most=most)
    except TooManyWrongKeys:
        return True
    return False


def is_refused_again(guesses: Guesses, address: str, secret: str) -> bool:
    try:
        guesses.refuse_again(lambda: address, secret, most=2)
    except TooManyWrongKeys:
        return True
    return False


class TestGuesses:
    def test_let_so_many_through_in_a_minute(self, guesses: Guesses, clock: Clock) -> None:
        assert [add(guesses, HERE) for _ in range(4)] == [False, False, True, True]
        clock.now_s += WINDOW_S - 0.5
        with pytest.raises(TooManyWrongKeys) as told:
            guesses.add(HERE, "wrong", most=2)
        assert told.value.retry_after_s == 1
        clock.now_s += 0.5
        assert not add(guesses, HERE)

    def test_count_each_address_for_itself(self, guesses: Guesses) -> None:
        for _ in range(3):
            add(guesses, HERE)
        assert add(guesses, HERE)
        assert not add(guesses, "203.0.113.8")

    def test_know_the_latest_wrong_keys_without_looking_them_up(self, guesses: Guesses, clock: Clock) -> None:
        for number in range(20):
            add(guesses, HERE, f"wrong {number}")
        assert is_refused_again(guesses, HERE, "wrong 19")
        assert not is_refused_again(guesses, HERE, "wrong 3")  # forgotten: it is looked up
        assert not is_refused_again(guesses, HERE, "right")
        assert not is_refused_again(guesses, "203.0.113.8", "wrong 19")
        clock.now_s += WINDOW_S
        assert not is_refused_again(guesses, HERE, "wrong 19")

    def test_look_a_wrong_key_up_again_below_the_limit(self, guesses: Guesses) -> None:
        add(guesses, HERE)
        assert not is_refused_again(guesses, HERE, "wrong")

    def test_hold_so_many_addresses_and_forget_the_oldest(self, guesses: Guesses, clock: Clock) -> None:
        for number in range(1000):
            clock.now_s += 0.001
            add(guesses, f"198.51.100.{number}")
            add(guesses, HERE if number == 0 else f"198.51.100.{number}")
            assert len(guesses) <= 3
        assert not add(guesses, HERE)

    def test_forget_what_is_over(self, guesses: Guesses, clock: Clock) -> None:
        add(guesses, HERE)
        clock.now_s += WINDOW_S
        add(guesses, "203.0.113.8")
        assert len(guesses) == 1

    @pytest.mark.parametrize(
        ("address", "network"),
        [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
            ("fe80::1%eth0", "fe80::"),
            ("no:address", "no:address"),
            (None, ""),
        ],
    )
    def test_take_the_addresses_of_one_client_together(self, address: str | None, network: str) -> None:
        assert network_of(address) == network


class TestLimiting:
    @pytest.fixture(autouse=True)
    def limited(self, settings: Settings) -> None:
        settings.WRONG_KEYS_PER_MINUTE = 1

    @pytest.mark.parametrize("code", ["invalid_api_key", "scope_missing"])
    def test_counts_keys_that_open_nothing_alone(self, guesses: Guesses, code: str) -> None:
        raised: list[type[Exception]] = []
        for _ in range(3):
            try:
                with wrong_keys_limited("secret", remote=HERE, forwarded="", guesses=guesses):
                    raise WireError("no", status=401, code=code)
            except WireError as error:
                raised.append(type(error))
        assert (TooManyWrongKeys in raised) == (code == "invalid_api_key")

    def test_does_not_count_whoever_has_no_key(self, guesses: Guesses) -> None:
        for _ in range(3):
            with (
                pytest.raises(WireError) as told,
                wrong_keys_limited("", remote=HERE, forwarded="", guesses=guesses),
            ):
                raise WireError("no", status=401, code="invalid_api_key")
            assert told.value.status == 401
        assert len(guesses) == 0


@pytest.mark.slow
class TestFromOutside:
    """Both applications behind the endpoint: the gateway's own, and Django's; on both wires."""

    pytestmark = COMMITTED
    PLACES = (("POST", CHAT), ("GET", "/v1/models"), ("POST", "/api/chat"), ("GET", "/api/tags"))

    @pytest.fixture(autouse=True)
    def limited(self, settings: Settings) -> Iterator[None]:
        settings.WRONG_KEYS_PER_MINUTE = 3
        settings.TRUSTED_PROXIES = ["127.0.0.1"]
        GUESSES.clear()
        yield
        GUESSES.clear()

    @pytest.mark.parametrize(("method", "path"), PLACES)
    def test_an_address_is_told_to_wait_and_right_keys_go_on(self, endpoint: Endpoint, method: str, path: str) -> None:
        there = {"X-Forwarded-For": HERE}
        counted = metrics.DENIED.labels("ollama" if path.startswith("/api") else "openai", Denial.KEY)
        before = counted._value.get()
        sent = [endpoint.send(method, path, secret=f"gllm-{n}", raw=b"{}", headers=there) for n in range(4)]
        assert [one.status_code for one in sent] == [401, 401, 401, 429]
        assert 1 <= int(sent[3]["Retry-After"]) <= WINDOW_S
        assert sent[3]["x-should-retry"] == "false"
        assert counted._value.get() == before + 4
        if path.startswith("/api"):
            assert set(json.loads(sent[3].content)) == {"error"}
        else:
            assert error_of(sent[3])["code"] == "too_many_wrong_keys"
        again = endpoint.send(method, path, secret="gllm-3", raw=b"{}", headers=there)
        elsewhere = endpoint.send(method, path, secret="gllm-3", raw=b"{}", headers={"X-Forwarded-For": "203.0.113.8"})
        right = endpoint.send(method, path, raw=b"{}", headers=there)
        assert (again.status_code, elsewhere.status_code) == (429, 401)
        assert right.status_code == (200 if method == "GET" else 400)  # let in: the empty request is refused as such
        new = create_key(owner_id=endpoint.key.owner_id, name="new")  # which this process has never seen
        assert endpoint.send(method, path, secret=new.secret, raw=b"{}", headers=there).status_code == right.status_code

    def test_the_places_count_together(self, endpoint: Endpoint) -> None:
        statuses = [
            endpoint.send(method, path, secret="gllm-wrong", raw=b"{}").status_code for method, path in self.PLACES
        ]
        assert statuses == [401, 401, 401, 429]

    def test_a_revoked_key_is_a_wrong_one(self, endpoint: Endpoint) -> None:
        revoke_key(key=endpoint.key, now=make.NOW)
        assert [endpoint.send("GET", "/v1/models").status_code for _ in range(4)] == [401, 401, 401, 429]
