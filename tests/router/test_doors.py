import pytest
from django.test import RequestFactory
from pytest_django.fixtures import Settings

from router.api.doors import is_anonymous_allowed


class TestAnonymousAccess:
    @pytest.mark.parametrize(
        ("setting", "address", "headers", "allowed"),
        [
            pytest.param("loopback", "127.0.0.1", {}, True, id="IPv4"),
            pytest.param("loopback", "::1", {}, True, id="IPv6"),
            pytest.param("loopback", "::ffff:127.0.0.1", {}, True, id="IPv4 in IPv6"),
            pytest.param("off", "127.0.0.1", {}, False, id="switched off"),
            pytest.param("loopback", "192.168.1.7", {}, False, id="another machine"),
            pytest.param("loopback", "127.0.0.10", {}, False, id="looks alike"),
            pytest.param("loopback", "", {}, False, id="unknown address"),
            pytest.param("loopback", "127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, False, id="X-Forwarded-For"),
            pytest.param("loopback", "127.0.0.1", {"X-Forwarded-For": ""}, False, id="empty X-Forwarded-For"),
            pytest.param("loopback", "127.0.0.1", {"Forwarded": "for=127.0.0.1"}, False, id="Forwarded"),
            pytest.param("loopback", "127.0.0.1", {"X-Real-IP": "127.0.0.1"}, False, id="X-Real-IP"),
        ],
    )
    def test_is_only_from_this_very_machine(
        self, settings: Settings, setting: str, address: str, headers: dict[str, str], allowed: bool
    ) -> None:
        settings.ANONYMOUS_ACCESS = setting
        request = RequestFactory().get("/", REMOTE_ADDR=address, headers=headers)
        assert is_anonymous_allowed(request) is allowed
