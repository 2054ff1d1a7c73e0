"""Wrong passwords: after some, signing in by that name from that address rests."""

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.core.management import call_command
from django.test import Client
from pytest_django.fixtures import Settings

from tests import factories as make

pytestmark = pytest.mark.django_db
HERE, ELSEWHERE = "203.0.113.7", "203.0.113.8"


def sign_in(password: str, *, name: str = "ada", address: str = HERE, **headers: str) -> Any:
    path = "/account/sign-in/"
    return Client(REMOTE_ADDR=address).post(path, {"username": name, "password": password}, headers=headers)


@pytest.fixture(autouse=True)
def people() -> None:
    make.make_user("ada", password="right")
    make.make_user("bob", password="right")


def guess(times: int = 5, **where: str) -> list[int]:
    return [sign_in("wrong", **where).status_code for _ in range(times)]


class TestLocking:
    @pytest.mark.slow
    def test_rests_after_five_wrong_passwords_and_says_until_when(self) -> None:
        assert guess() == [200, 200, 200, 200, 429]
        response = sign_in("right")
        assert response.status_code == 429
        assert 800 <= int(response["Retry-After"]) <= 900
        assert b"You can try again at" in response.content
        assert sign_in("right", name="bob").status_code == 302
        assert sign_in("right", address=ELSEWHERE).status_code == 302

    @pytest.mark.slow
    def test_ends_by_itself_and_by_a_command(self) -> None:
        guess()
        AccessAttempt.objects.update(attempt_time=AccessAttempt.objects.get().attempt_time - timedelta(minutes=16))
        assert sign_in("right").status_code == 302
        guess()
        call_command("axes_reset_username", "ada", verbosity=0)
        assert sign_in("right").status_code == 302

    @pytest.mark.slow
    def test_counts_anew_after_a_right_password(self) -> None:
        guess(4)
        assert sign_in("right").status_code == 302
        assert guess(4) == [200] * 4

    @pytest.mark.slow
    def test_believes_a_trusted_proxy_alone(self, settings: Settings) -> None:
        for number in range(5):
            sign_in("wrong", **{"X-Forwarded-For": f"198.51.100.{number}"})
        assert sign_in("right", **{"X-Forwarded-For": "198.51.100.9"}).status_code == 429
        settings.TRUSTED_PROXIES = [HERE]
        assert sign_in("right", **{"X-Forwarded-For": "198.51.100.9"}).status_code == 302

    def test_keeps_no_password(self) -> None:
        guess(1)
        attempt = AccessAttempt.objects.get()
        assert "wrong" not in attempt.post_data
