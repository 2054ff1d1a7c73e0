"""A web process that says that it is there."""

from datetime import timedelta

import pytest
from django.utils import timezone

from router.gateway.presence import Presence
from router.gateway.working import Workers
from router.models import GatewayRequest, WebProcess
from tests import factories as make
from tests.router.endpoint import COMMITTED, Endpoint


@pytest.mark.django_db
class TestPresence:
    def test_has_one_row_that_tells_when_it_was_seen(self) -> None:
        presence = Presence(Workers(), longest_s=1800.0)
        presence.beat()
        first = WebProcess.objects.get()
        presence.beat()
        second = WebProcess.objects.get()
        assert (first.pk, first.started_at) == (second.pk, second.started_at)
        assert first.seen_at < second.seen_at

    def test_comes_back_after_it_was_taken_for_gone(self) -> None:
        presence = Presence(Workers(), longest_s=1800.0)
        presence.beat()
        WebProcess.objects.all().delete()
        presence.beat()
        assert WebProcess.objects.get() == presence.process

    @pytest.mark.parametrize("hours", [2, -2])
    def test_takes_nobody_for_gone_where_its_own_clock_is_wrong(
        self, hours: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other, wrong = Presence(Workers(), longest_s=1800.0), Presence(Workers(), longest_s=1800.0)
        other.beat()
        request = make.make_gateway_request(process=other.process)
        wrong_time = timezone.now() + timedelta(hours=hours)
        monkeypatch.setattr(timezone, "now", lambda: wrong_time)
        wrong.beat()
        other.beat()
        request.refresh_from_db()
        assert request.state == GatewayRequest.State.RUNNING
        assert WebProcess.objects.count() == 2

    def test_closes_what_others_left_behind(self) -> None:
        gone = WebProcess.objects.create(host="here", number=1, started_at=make.NOW, seen_at=make.NOW)
        request = make.make_gateway_request(process=gone)
        Presence(Workers(), longest_s=1800.0).beat()
        request.refresh_from_db()
        assert request.state == "abandoned"


@pytest.mark.slow
class TestServing:
    pytestmark = COMMITTED

    def test_leaves_no_process_behind_and_no_request_with_one(self, endpoint: Endpoint) -> None:
        assert endpoint.chat().status_code == 200
        assert GatewayRequest.objects.get().process is None
        assert not WebProcess.objects.exists()
