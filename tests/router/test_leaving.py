"""Retiring: what may not leave, and that every process forgets what it knew of the model."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from django.db import connection

from benchmarks.models import Response
from labeling.models import Label
from router.joining import open_evaluation, request_evaluation
from router.knowledge import KnowledgeKeeper
from router.leaving import CannotRetire, hindrance_to_retiring, retire_model
from router.models import PolicyVersion
from router.routing import route
from tests import factories as make
from tests.factories import NOW
from tests.router.joining_federation import answer_all, make_wide
from tests.router.standins import make_federation

_ANOTHER_PROCESS = """
import sys
import django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[2]
django.setup()
from benchmarks.models import Deployment
from router.leaving import retire_model
from django.utils import timezone
retire_model(deployment=Deployment.objects.get(pk=int(sys.argv[1])), now=timezone.now())
"""


@pytest.mark.django_db
class TestRefusing:
    def test_the_last_active_model(self) -> None:
        only = make.make_deployment("only")
        assert "Activate another one first" in hindrance_to_retiring(only)
        with pytest.raises(CannotRetire, match="only active model"):
            retire_model(deployment=only, now=NOW)
        only.refresh_from_db()
        assert only.state == "active"

    def test_the_fallback_in_force(self) -> None:
        federation = make_federation()
        PolicyVersion.objects.create(policy="guarded", fallback=federation.large)
        with pytest.raises(
            CannotRetire, match=r"fallback of policy version \d+ \(guarded\).* Add a version with another"
        ):
            retire_model(deployment=federation.large, now=NOW)
        retire_model(deployment=federation.small, now=NOW)

    def test_but_no_fallback_of_an_earlier_version(self) -> None:
        federation = make_federation()
        PolicyVersion.objects.create(policy="guarded", fallback=federation.large)
        PolicyVersion.objects.create(policy="guarded")
        retire_model(deployment=federation.large, now=NOW)
        federation.large.refresh_from_db()
        assert federation.large.state == "retired"

    def test_no_candidate_and_no_embedder(self) -> None:
        make.make_deployment("only")
        for one in (
            make.make_deployment("new", state="candidate"),
            make.make_deployment("e", purpose="embedding", state="active"),
        ):
            retire_model(deployment=one, now=NOW)
            one.refresh_from_db()
            assert one.state == "retired"


@pytest.mark.django_db
class TestForgetting:
    def test_is_in_every_keeper_at_the_next_decision(self) -> None:
        federation = make_federation()
        keepers = [KnowledgeKeeper(store=federation.store) for _ in range(2)]  # as in two processes
        known = [keeper.current(federation.index) for keeper in keepers]
        assert [[column.model for column in one.columns] for one in known] == [["large", "small"]] * 2
        retire_model(deployment=federation.small, now=NOW)
        for keeper in keepers:
            after = keeper.current(federation.index)
            assert [column.deployment_id for column in after.columns] == [federation.large.pk]
            assert after.estimator().known.scores.shape == (2, 1)
            assert np.isfinite(after.estimator().known.sci_gco2e).all()
            assert keeper.current(federation.index) is after

    def test_holds_where_reading_is_slow(self) -> None:
        """What is slow to read is read beside a decision, but never a change of who is active."""
        federation = make_federation()
        ticks = iter(range(0, 1000, 100))
        keeper = KnowledgeKeeper(store=federation.store, clock=lambda: float(next(ticks)))
        keeper.current(federation.index)
        retire_model(deployment=federation.small, now=NOW)
        assert [one.model for one in keeper.current(federation.index).columns] == ["large"]

    def test_keeps_answers_measurements_and_labels_as_history(self) -> None:
        federation = make_federation()
        before = (Response.objects.count(), Label.objects.count())
        retire_model(deployment=federation.small, now=NOW)
        assert (Response.objects.count(), Label.objects.count()) == before
        assert federation.small.responses.filter(measurement__isnull=False).count() == 2

    @pytest.mark.slow
    def test_ends_an_evaluation(self) -> None:
        wide = make_wide()
        answer_all(wide)
        request_evaluation(deployment=wide.new, now=NOW)
        retire_model(deployment=wide.new, now=NOW)
        assert open_evaluation(wide.new) is None


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
class TestAnotherProcess:
    @pytest.mark.parametrize("policy", ["nearest", "guarded"])
    def test_retires_a_model_out_of_this_one(self, policy: str) -> None:
        """A model that this process has just chosen, and knows all about, is retired by another one."""
        federation = make_federation()
        PolicyVersion.objects.create(policy=policy, tolerance=1.0, neighbour_count=2)

        def chosen() -> str:
            text = "what is two plus three"
            return route(
                prompt_text=text, embedder=federation.embedder, store=federation.store
            ).chosen.language_model.name

        first = chosen()
        leaving = federation.small if first == "small" else federation.large
        subprocess.run(
            [sys.executable, "-c", _ANOTHER_PROCESS, str(leaving.pk), str(connection.settings_dict["NAME"])],
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "greenllm.settings"},
            cwd=Path(__file__).parents[2],
            check=True,
            timeout=60,
        )
        assert {first, chosen()} == {"small", "large"}
