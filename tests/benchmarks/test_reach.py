"""Where servers may be: every kind of address, at the naming of a server and at every connection."""

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from django.core.exceptions import ValidationError
from pytest_django.fixtures import Settings

from benchmarks.datasets.downloading import DownloadError, retrieve
from benchmarks.datasets.published import Download
from benchmarks.grid.base import ProviderUnreachable
from benchmarks.grid.exchange import ask
from benchmarks.inference.base import ServerForbidden
from benchmarks.inference.connecting import client_for
from benchmarks.inference.scripted import ScriptedModel, ScriptedOllama
from benchmarks.models import InferenceServer, IntensityFeed
from benchmarks.reach import (
    LOOPBACK,
    PRIVATE,
    AddressForbidden,
    Reach,
    in_force,
    networks_named,
    open_client,
    reach_of,
    using,
)

NOWHERE = Reach(networks=())
PUBLIC = "93.184.216.34"
Resolving = Callable[..., None]


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch) -> Resolving:
    """Let a name have these addresses, the first at the first look, and so on; the last one stays."""

    def resolve(*answers: list[str]) -> None:
        left = list(answers)

        def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[object]:
            is_address = host[0].isdigit()  # whoever connects to one has it "resolved" too
            addresses = [host] if is_address else left.pop(0) if len(left) > 1 else left[0]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

        monkeypatch.setattr("benchmarks.reach.socket.getaddrinfo", getaddrinfo)

    return resolve


class TestProblemWith:
    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1", "localhost", "[::1]", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "10.1.2.3", "172.16.0.1",
            "192.168.1.1", "100.64.0.1", "169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "0.0.0.0",
            "255.255.255.255", "224.0.0.1", "[fe80::1]", "[fc00::1]", "[::]", "[::ffff:127.0.0.1]",
            "[::ffff:169.254.169.254]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "198.18.0.1", "192.0.2.1",
        ],
    )  # fmt: skip
    def test_is_told_of_what_is_not_public(self, host: str) -> None:
        problem = NOWHERE.problem_with(f"http://{host}:8000/v1")

        assert host.strip("[]") in problem
        assert "Give another address, or allow its network with GREENLLM_SERVER_NETWORKS" in problem

    @pytest.mark.parametrize("host", [PUBLIC, "[2606:2800:220:1:248:1893:25c8:1946]"])
    def test_is_none_with_a_public_address(self, host: str) -> None:
        assert NOWHERE.problem_with(f"https://{host}/v1") == ""

    def test_is_none_with_a_host_that_nobody_knows_now(self) -> None:
        assert NOWHERE.problem_with("http://no-such-host.invalid:11434") == ""

    @pytest.mark.parametrize("url", ["", "http://", "http://[::1", "http://a:99999", "nonsense"])
    def test_leaves_what_is_no_address_to_others(self, url: str) -> None:
        assert NOWHERE.problem_with(url) == ""

    def test_says_what_is_there(self) -> None:
        assert "where clouds tell a machine its keys" in NOWHERE.problem_with("http://169.254.169.254/latest")
        assert "on this machine itself" in NOWHERE.problem_with("http://127.0.0.1:5432")
        assert "in a private network" in NOWHERE.problem_with("http://10.0.0.1")

    def test_looks_at_every_address_of_a_name(self, resolving: Resolving) -> None:
        resolving([PUBLIC, "10.0.0.5"])

        assert "model.example is at 10.0.0.5" in NOWHERE.problem_with("http://model.example:8000")


class TestReach:
    def test_allows_the_networks_of_the_setting_only(self) -> None:
        loopback, private = Reach(LOOPBACK), Reach(PRIVATE)

        assert loopback.problem_with("http://127.0.0.1:1") == "" == private.problem_with("http://192.168.1.7:1")
        assert loopback.problem_with("http://192.168.1.7:1")
        assert private.problem_with("http://127.0.0.1:1")

    def test_allows_metadata_by_its_very_address_only(self) -> None:
        assert Reach((*PRIVATE, ip_network("169.254.0.0/16"))).problem_with("http://169.254.169.254/")
        assert Reach(PRIVATE).problem_with("http://[fd00:ec2::254]/")
        assert Reach((ip_network("169.254.169.254/32"),)).problem_with("http://169.254.169.254/") == ""

    def test_trusts_what_the_operator_set_by_host_and_port(self) -> None:
        reach = reach_of([], ["http://127.0.0.1:11434", "https://Models.internal"])

        assert reach.problem_with("http://127.0.0.1:11434/v1") == ""
        assert reach.problem_with("http://127.0.0.1:5432")
        assert ("models.internal", 443) in reach.trusted

    @pytest.mark.parametrize("words", [["private", "10.0.0.5"], ["none"], ["LOOPBACK", "2001:db8::/32"]])
    def test_reads_networks_by_word(self, words: list[str]) -> None:
        assert len(networks_named(words)) == {"private": 5, "none": 0}.get(words[0], 3)

    @pytest.mark.parametrize("word", ["lan", "10.0.0.5/8", "300.1.1.1", "*"])
    def test_refuses_another_word(self, word: str) -> None:
        with pytest.raises(ValueError, match=r"is no network"):
            networks_named([word])


class TestRows:
    def test_of_servers_and_services_are_refused_by_field(self) -> None:
        server = InferenceServer(name="lab", base_url="http://192.168.1.4:11434")
        feed = IntensityFeed(zone="DE", provider="electricity_maps", base_url="http://169.254.169.254/v3")
        for row in (server, feed):
            with pytest.raises(ValidationError, match="GREENLLM_SERVER_NETWORKS") as caught:
                row.clean()
            assert list(caught.value.message_dict) == ["base_url"]

    def test_hold_by_the_settings(self, settings: Settings) -> None:
        assert in_force() == reach_of(settings.SERVER_NETWORKS, settings.TRUSTED_SERVERS)
        assert in_force().problem_with("http://127.0.0.1:1") == ""


class TestConnection:
    @pytest.mark.parametrize("kind", ["ollama", "openai"])
    def test_of_a_client_is_not_made_where_no_server_may_be(self, kind: str) -> None:
        with ScriptedOllama([ScriptedModel("tiny:1b")], answers={}) as server:
            client = client_for(kind, server.base_url)
            with using(NOWHERE), pytest.raises(ServerForbidden, match="GREENLLM_SERVER_NETWORKS") as caught:
                client.health()
            assert not server.requests

        assert not caught.value.is_retryable

    def test_goes_by_the_address_at_its_own_moment(self, resolving: Resolving) -> None:
        """A name that was public when it was typed, and points to the metadata service a moment later."""
        resolving([PUBLIC], ["169.254.169.254"])
        assert NOWHERE.problem_with("http://rebind.example:80") == ""

        client = client_for("ollama", "http://rebind.example:80", connect_timeout_s=1)
        with using(NOWHERE), pytest.raises(ServerForbidden, match="rebind.example is at 169.254.169.254"):
            client.health()

    def test_goes_to_the_address_that_was_looked_at(self, resolving: Resolving) -> None:
        """The second look-up is the connection's only one: whatever a third would say is not asked for."""
        with ScriptedOllama([ScriptedModel("tiny:1b")], answers={}) as server:
            port = server.base_url.rpartition(":")[2]
            resolving(["127.0.0.1"], ["169.254.169.254"])
            assert client_for("ollama", f"http://named.example:{port}").health().version

    def test_tries_the_next_address_of_a_name(self, resolving: Resolving) -> None:
        with ScriptedOllama([ScriptedModel("tiny:1b")], answers={}) as server:
            port = server.base_url.rpartition(":")[2]
            resolving(["127.0.0.9", "127.0.0.1"])
            assert client_for("ollama", f"http://named.example:{port}").health().version


class _Redirecting(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return None


@pytest.fixture
def redirecting() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Redirecting) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class TestRedirect:
    @pytest.mark.slow
    def test_of_a_download_is_not_followed_to_where_no_server_may_be(self, redirecting: str, tmp_path: Path) -> None:
        wanted = Download(url=f"{redirecting}/data.jsonl", file_name="data.jsonl", known_hash=None)

        with pytest.raises(DownloadError, match=r"169\.254\.169\.254 is where clouds tell a machine its keys"):
            retrieve(wanted=wanted, folder=tmp_path, report=lambda *_: None)

    def test_is_a_connection_of_its_own(self, redirecting: str) -> None:
        with (
            open_client(timeout=httpx.Timeout(2), follow_redirects=True) as client,
            pytest.raises(httpx.ConnectError) as caught,
        ):
            client.get(redirecting)

        assert isinstance(caught.value.__cause__, AddressForbidden)


class TestQuestionToALiveService:
    def test_is_not_sent_where_no_server_may_be(self) -> None:
        with using(NOWHERE), pytest.raises(ProviderUnreachable, match=r"not asked: 127.0.0.1 is on this machine"):
            ask("http://127.0.0.1:9/v3", timeout_s=2, zone="DE")
