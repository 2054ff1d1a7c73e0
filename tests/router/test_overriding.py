"""The policy that counts for one prompt: who wins, what is kept, and that nothing of it is stored."""

import pytest
from django.core.exceptions import ValidationError

from router.keys import create_key
from router.models import ApiKey, PolicyVersion
from router.overriding import limits_of, policy_in_force, settle, wish_of_key
from router.wires.document import openapi_document
from router.wishes import DIALS, Wish, WishRefused
from tests import factories as make

pytestmark = pytest.mark.django_db


class TestInForce:
    def test_is_guarded_where_nobody_made_a_version(self) -> None:
        assert policy_in_force() == "guarded"
        settled = settle(version=None)
        assert (settled.version, settled.effective.policy, settled.overrides) == (None, "guarded", {})
        assert (settled.effective.caution, settled.effective.tolerance) == (0.5, 0.0)

    def test_is_the_latest_version(self) -> None:
        PolicyVersion.objects.create(policy="knn")
        PolicyVersion.objects.create(policy="floor")
        assert policy_in_force() == "floor"


class TestSettling:
    def test_lets_the_request_win_over_the_model_and_the_model_over_the_key(self) -> None:
        key = Wish("key", policy="knn", sci_price=2.0)
        assert settle(version=None, wishes=[key]).effective.policy == "knn"
        green = settle(version=None, wishes=[key, DIALS["auto:green"]])
        assert (green.effective.policy, green.effective.caution, green.effective.tolerance) == ("guarded", 0.0, 0.05)
        careful = settle(version=None, wishes=[key, DIALS["auto:green"], Wish("request", caution=2.0)])
        assert (careful.effective.caution, careful.effective.tolerance) == (2.0, 0.05)

    def test_tells_what_was_overridden_and_by_whom(self) -> None:
        key = Wish("key", policy="knn", sci_price=2.0)
        settled = settle(version=None, wishes=[key, Wish("request", sci_price=3.0, neighbours=30)])
        assert settled.effective.neighbour_count == 30
        assert settled.overrides == {
            "policy": {"value": "knn", "by": "key"},
            "sci_price": {"value": 3.0, "by": "request"},
            "neighbours": {"value": 30, "by": "request"},
        }

    def test_forgets_what_the_last_word_on_the_policy_does_not_go_by(self) -> None:
        key = Wish("key", policy="knn", sci_price=2.0)
        settled = settle(version=None, wishes=[key, Wish("request", policy="floor", accuracy_floor=0.7)])
        assert set(settled.overrides) == {"policy", "accuracy_floor"}

    def test_leaves_a_price_of_a_key_out_that_the_policy_does_not_go_by(self) -> None:
        assert settle(version=None, wishes=[Wish("key", sci_price=2.0)]).overrides == {}

    def test_gives_another_policy_its_own_number_of_neighbours(self) -> None:
        version = PolicyVersion.objects.create(policy="guarded", neighbour_count=70)
        assert settle(version=version, wishes=[Wish("request", caution=1.0)]).effective.neighbour_count == 70
        assert settle(version=version, wishes=[Wish("request", policy="knn")]).effective.neighbour_count is None

    def test_leaves_the_version_as_it_is(self) -> None:
        version = PolicyVersion.objects.create(policy="guarded")
        settled = settle(version=version, wishes=[Wish("request", policy="knn", sci_price=9.0)])
        assert settled.version is version
        assert (version.policy, version.sci_price) == ("guarded", 0.0)
        version.refresh_from_db()
        assert version.policy == "guarded"

    def test_goes_by_the_limits_of_the_version(self) -> None:
        version = PolicyVersion.objects.create(policy="knn", most_sci_price=1.0, least_accuracy_floor=0.8)
        with pytest.raises(WishRefused, match="from 0 to 1"):
            settle(version=version, wishes=[Wish("request", sci_price=1.5)])
        with pytest.raises(WishRefused, match=r"from 0\.8 to 1"):
            settle(version=version, wishes=[Wish("request", policy="floor", accuracy_floor=0.5)])
        with pytest.raises(WishRefused, match="one of nearest, category, knn, guarded, floor"):
            settle(version=version, wishes=[Wish("request", policy="fixed")])
        closed = PolicyVersion.objects.create(policy="knn", is_open=False)
        with pytest.raises(WishRefused, match="lets nobody override it"):
            settle(version=closed, wishes=[DIALS["auto:quality"]])


class TestKey:
    def test_wants_nothing_unless_an_admin_set_something(self) -> None:
        key = create_key(owner_id=make.make_user().pk, name="plain").key
        assert wish_of_key(key).wanted == {}
        key.policy, key.accuracy_floor = "floor", 0.7
        assert wish_of_key(key) == Wish("key", policy="floor", accuracy_floor=0.7)

    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [
            pytest.param({"sci_price": 1.0}, "sci_price", id="price without its policy"),
            pytest.param({"policy": "guarded", "sci_price": 1.0}, "sci_price", id="price of another policy"),
            pytest.param({"policy": "knn", "accuracy_floor": 0.5}, "accuracy_floor", id="floor of another policy"),
            pytest.param({"policy": "floor", "accuracy_floor": 1.5}, "accuracy_floor", id="floor above 1"),
            pytest.param({"policy": "knn", "sci_price": -1.0}, "sci_price", id="price below 0"),
            pytest.param({"policy": "fixed"}, "policy", id="fixed"),
        ],
    )
    def test_is_refused_what_makes_no_sense(self, fields: dict[str, object], wrong: str) -> None:
        key = ApiKey(owner=make.make_user(), name="key", prefix="gllm", digest="digest", **fields)
        with pytest.raises(ValidationError) as told:
            key.full_clean()
        assert list(told.value.message_dict) == [wrong]


def test_the_document_of_the_endpoint_names_every_policy_that_a_request_may_choose() -> None:
    asked = openapi_document()["components"]["schemas"]["ChatRequest"]["properties"]["greenllm"]
    assert tuple(asked["properties"]["policy"]["enum"]) == limits_of(PolicyVersion()).policies
