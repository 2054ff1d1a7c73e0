import pytest

from router.addresses import client_address

PROXY, OUTER = "10.0.0.1", "10.0.0.2"


@pytest.mark.parametrize(
    ("remote", "forwarded", "trusted", "expected"),
    [
        pytest.param("203.0.113.7", "", [], "203.0.113.7", id="no proxy"),
        pytest.param("203.0.113.7", "198.51.100.1", [PROXY], "203.0.113.7", id="said by somebody else"),
        pytest.param(PROXY, "203.0.113.7", [], PROXY, id="not trusted"),
        pytest.param(PROXY, "203.0.113.7", [PROXY], "203.0.113.7", id="said by the proxy"),
        pytest.param(PROXY, "198.51.100.1, 203.0.113.7", [PROXY], "203.0.113.7", id="what the client said before"),
        pytest.param(PROXY, f"203.0.113.7, {OUTER}", [PROXY, OUTER], "203.0.113.7", id="two proxies"),
        pytest.param(PROXY, "unknown", [PROXY], PROXY, id="no address"),
        pytest.param(PROXY, "2001:db8::7", [PROXY], "2001:db8::7", id="IPv6"),
        pytest.param(None, "", [PROXY], None, id="a socket"),
    ],
)
def test_the_client_is_whom_the_last_trusted_proxy_heard(
    remote: str | None, forwarded: str, trusted: list[str], expected: str | None
) -> None:
    assert client_address(remote, forwarded, trusted) == expected
