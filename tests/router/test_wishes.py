"""What a caller may want of the router: how it is read, and where its limits are."""

from typing import Any

import pytest

from router.wishes import DIALS, FIELDS, Limits, Wish, WishRefused, read_wish, require_within

POLICIES = ("nearest", "knn", "guarded", "floor")


def refused(wish: Wish, *, policy: str = "guarded", **limits: Any) -> WishRefused:
    with pytest.raises(WishRefused) as told:
        require_within(wish, Limits(POLICIES, **limits), policy=policy)
    return told.value


class TestReading:
    def test_takes_nothing_for_nothing(self) -> None:
        assert read_wish(None).wanted == {}
        assert read_wish({}).wanted == {}
        assert read_wish(dict.fromkeys(FIELDS)).wanted == {}

    def test_takes_every_field(self) -> None:
        wish = read_wish({"policy": "knn", "sci_price": 3, "accuracy_floor": 0.5, "caution": 0, "neighbours": 7})
        assert wish == Wish("request", "knn", sci_price=3.0, accuracy_floor=0.5, caution=0.0, neighbours=7)

    @pytest.mark.parametrize(
        ("raw", "param", "said"),
        [
            pytest.param("green", "greenllm", "must be an object with some of policy", id="text"),
            pytest.param([1], "greenllm", "must be an object", id="list"),
            pytest.param({"price": 1}, "greenllm.price", "is unknown; what can be set is policy", id="unknown"),
            pytest.param({"policy": 3}, "greenllm.policy", "must be the name of a policy", id="policy"),
            pytest.param({"sci_price": "3"}, "greenllm.sci_price", "must be a number", id="text for a number"),
            pytest.param({"caution": True}, "greenllm.caution", "must be a number", id="true"),
            pytest.param({"caution": float("nan")}, "greenllm.caution", "must be a number", id="not a number"),
            pytest.param({"sci_price": float("inf")}, "greenllm.sci_price", "must be a number", id="infinite"),
            pytest.param({"sci_price": 10**400}, "greenllm.sci_price", "must be a number", id="beyond any number"),
            pytest.param({"neighbours": 1.5}, "greenllm.neighbours", "must be a whole number", id="half a neighbour"),
            pytest.param({"neighbours": True}, "greenllm.neighbours", "must be a whole number", id="true neighbour"),
        ],
    )
    def test_names_what_is_wrong(self, raw: object, param: str, said: str) -> None:
        with pytest.raises(WishRefused, match=said) as told:
            read_wish(raw)
        assert told.value.param == param


class TestLimits:
    @pytest.mark.parametrize(
        ("wish", "policy"),
        [
            pytest.param(Wish("request", "floor", accuracy_floor=0.6), "floor", id="at the lowest floor"),
            pytest.param(Wish("request", sci_price=5.0), "knn", id="at the highest price"),
            pytest.param(Wish("request", caution=0.0, neighbours=1), "guarded", id="least"),
            pytest.param(Wish("request", caution=10.0, neighbours=1000), "guarded", id="most"),
            pytest.param(Wish("key", sci_price=99.0), "knn", id="set by an admin"),
            pytest.param(DIALS["auto:green"], "guarded", id="auto:green"),
            pytest.param(DIALS["auto:quality"], "knn", id="auto:quality"),
        ],
    )
    def test_let_through(self, wish: Wish, policy: str) -> None:
        require_within(wish, Limits(POLICIES, most_sci_price=5.0, least_accuracy_floor=0.6), policy=policy)

    @pytest.mark.parametrize(
        ("wish", "policy", "param", "said"),
        [
            (Wish("request", "fixed"), "fixed", "policy", "must be one of nearest, knn, guarded, floor."),
            (Wish("request", accuracy_floor=0.59), "floor", "accuracy_floor", "must be from 0.6 to 1."),
            (Wish("request", accuracy_floor=1.1), "floor", "accuracy_floor", "must be from 0.6 to 1."),
            (Wish("request", sci_price=5.1), "knn", "sci_price", "must be from 0 to 5."),
            (Wish("request", sci_price=-1.0), "knn", "sci_price", "must be from 0 to 5."),
            (Wish("request", caution=10.5), "guarded", "caution", "must be from 0 to 10."),
            (Wish("request", neighbours=0), "knn", "neighbours", "must be from 1 to 1000."),
            (Wish("request", neighbours=1001), "knn", "neighbours", "must be from 1 to 1000."),
        ],
    )
    def test_name_the_field_and_the_range(self, wish: Wish, policy: str, param: str, said: str) -> None:
        told = refused(wish, policy=policy, most_sci_price=5.0, least_accuracy_floor=0.6)
        assert (told.param, str(told)) == (f"greenllm.{param}", f"'greenllm.{param}' {said}")

    def test_may_be_open_above(self) -> None:
        assert str(refused(Wish("request", sci_price=-1.0), policy="knn")) == "'greenllm.sci_price' must be at least 0."

    def test_refuse_what_would_have_no_say(self) -> None:
        told = refused(Wish("request", sci_price=1.0), policy="guarded")
        assert str(told) == (
            "'greenllm.sci_price' has no say in the policy guarded; with it set 'greenllm.policy' to knn or category."
        )

    @pytest.mark.parametrize(
        ("wish", "param"),
        [(Wish("request", caution=1.0), "greenllm.caution"), (DIALS["auto:green"], "model")],
    )
    def test_may_be_closed(self, wish: Wish, param: str) -> None:
        told = refused(wish, is_open=False)
        assert told.param == param
        assert "the policy in force lets nobody override it" in str(told)

    def test_that_are_closed_let_a_request_pass_that_wants_nothing(self) -> None:
        require_within(Wish("request"), Limits(POLICIES, is_open=False), policy="guarded")
