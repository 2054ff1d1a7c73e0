"""The dry run: what would move, and what that would be worth."""

import pytest

from benchmarks.inference.base import ServerUnreachable
from benchmarks.models import Deployment
from router.models import PolicyVersion
from router.previewing import Change, Move, Preview, latest_texts, preview, preview_live
from tests import factories as make
from tests.router.joining_federation import Wide, answer_all, make_wide
from tests.router.standins import WordClient, make_embedder

pytestmark = pytest.mark.django_db


def dry_run(wide: Wide, deployment: Deployment | None = None) -> Preview:
    return preview(deployment=deployment or wide.new, store=wide.federation.store)


def live_run(wide: Wide) -> Change:
    return preview_live(deployment=wide.new, store=wide.federation.store, embedder=wide.federation.embedder)


def make_live(wide: Wide, text: str, reason: str = "cheapest_correct") -> None:
    request = make.make_gateway_request(prompt_text=text)
    make.make_decision(request=request, chosen=wide.federation.large, reason=reason)


class TestOfAModelThatJoins:
    @pytest.mark.slow
    def test_counts_what_moves_and_from_whom(self) -> None:
        wide = make_wide()
        answer_all(wide, energy_j=30.0)  # cheaper than large, dearer than small, and always right
        found = dry_run(wide)
        assert (found.is_leaving, found.policy, found.known_total, found.note) == (False, "nearest", 42, "")
        assert found.known.moves == (Move("large", "new", 21),)  # code, where small is wrong
        share = found.known.moved_share
        assert share is not None
        assert (share.value, share.n) == (0.5, 42)

    @pytest.mark.slow
    def test_tells_accuracy_and_sci_before_and_after_with_n_and_quality(self) -> None:
        wide = make_wide()
        answer_all(wide, energy_j=30.0)
        known = dry_run(wide).known
        assert known.before is not None
        assert known.after is not None
        for side in (known.before, known.after):
            assert side.accuracy is not None
            assert side.sci_gco2e is not None
            assert (side.accuracy.value, side.accuracy.n, side.sci_gco2e.n, side.quality) == (1.0, 42, 42, "estimated")
        assert known.before.sci_gco2e is not None
        assert known.after.sci_gco2e is not None
        # half of the prompts on small (10 J), the others go from 90 J to 30 J
        assert known.after.sci_gco2e.high < known.before.sci_gco2e.low

    @pytest.mark.slow
    def test_changes_nothing(self) -> None:
        wide = make_wide()
        answer_all(wide)
        dry_run(wide)
        wide.new.refresh_from_db()
        assert wide.new.state == "candidate"

    @pytest.mark.slow
    def test_leaves_each_prompt_out_of_its_own_neighbours(self) -> None:
        """Only the prompts that it answered speak for it, so that a lone right answer moves no prompt to it itself."""
        wide = make_wide()
        make.make_response(wide.federation.code, wide.new, energy_j=1.0, verdict="correct")
        known = dry_run(wide).known
        moved_to_new = sum(move.count for move in known.moves if move.target == "new")
        assert moved_to_new < 42
        # the prompt itself goes by its neighbour, which nobody but small and large answered
        assert known.after is not None
        assert known.after.accuracy is not None
        assert known.after.accuracy.n == 42 - moved_to_new

    @pytest.mark.slow
    def test_goes_by_the_policy_in_force(self) -> None:
        wide = make_wide()
        answer_all(wide, energy_j=30.0)
        version = PolicyVersion.objects.create(policy="fixed", fallback=wide.federation.small)
        found = dry_run(wide)
        assert (found.policy, found.version_id, found.known.moved_count) == ("fixed", version.pk, 0)
        assert found.known.before is not None
        assert found.known.before.accuracy is not None
        assert found.known.before.accuracy.value == 0.5

    @pytest.mark.slow
    def test_says_that_unlike_energy_is_not_ranked(self) -> None:
        wide = make_wide()
        answer_all(wide, energy_j=1.0, quality="measured")
        found = dry_run(wide)
        assert "The energy of new is measured, that of most others estimated" in found.note
        assert found.known.moved_count == 0

    @pytest.mark.slow
    def test_says_that_it_was_never_measured(self) -> None:
        wide = make_wide()
        found = dry_run(wide)
        assert "measure it first" in found.note
        assert found.known.moved_count == 0

    @pytest.mark.slow
    def test_is_of_one_side_where_nothing_is_active_yet(self) -> None:
        wide = make_wide()
        answer_all(wide)
        Deployment.objects.filter(language_model__purpose="chat", state="active").update(state="candidate")
        known = dry_run(wide).known
        (problem,) = known.problems
        assert problem.startswith("Now: The federation has no active model")
        assert (known.before, known.moved_share) == (None, None)
        assert known.after is not None


class TestOfAModelThatLeaves:
    @pytest.mark.slow
    def test_counts_what_the_others_take_over(self) -> None:
        wide = make_wide()
        found = dry_run(wide, wide.federation.small)
        assert found.is_leaving
        assert found.known.moves == (Move("small", "large", 21),)
        assert found.known.before is not None
        assert found.known.after is not None
        assert found.known.before.sci_gco2e is not None
        assert found.known.after.sci_gco2e is not None
        assert found.known.after.sci_gco2e.value > found.known.before.sci_gco2e.value

    @pytest.mark.slow
    def test_says_that_nothing_could_be_routed(self) -> None:
        wide = make_wide()
        PolicyVersion.objects.create(policy="guarded", fallback=wide.federation.small)
        known = dry_run(wide, wide.federation.small).known
        assert known.after is None
        assert "The fallback of policy version" in known.problems[0]


class TestOverLivePrompts:
    @pytest.mark.slow
    def test_routes_those_whose_text_is_kept(self) -> None:
        wide = make_wide()
        answer_all(wide, energy_j=30.0)
        make_live(wide, "write a python function for me")
        make_live(wide, "what is two plus seven")
        make_live(wide, "")
        live = live_run(wide)
        assert (live.prompt_count, live.moves) == (2, (Move("large", "new", 1),))
        assert live.after is not None
        assert live.after.accuracy is not None
        assert 0.5 < live.after.accuracy.value <= 1.0
        assert live.after.quality == "estimated"

    @pytest.mark.slow
    def test_leaves_out_what_was_not_decided_by_the_prompt(self) -> None:
        wide = make_wide()
        make_live(wide, "pinned", reason="pinned")
        make_live(wide, "later in a conversation", reason="conversation")
        sent = make.make_gateway_request(prompt_text="a title, please", background_task="title")
        make.make_decision(request=sent, chosen=wide.federation.large)
        assert latest_texts() == []
        assert live_run(wide).prompt_count == 0

    @pytest.mark.slow
    def test_raises_where_the_embedder_is_away(self) -> None:
        wide = make_wide()
        make_live(wide, "what is two plus seven")
        away = make_embedder(WordClient(failure=ServerUnreachable("http://127.0.0.1:1", "refused")))
        with pytest.raises(ServerUnreachable):
            preview_live(deployment=wide.new, store=wide.federation.store, embedder=away)
