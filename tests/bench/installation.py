"""What the benches of a served application run on: processes, and a federation on a database that is thrown away."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import httpx


@contextmanager
def serving(application: str, environment: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Serve an ASGI application by a uvicorn of its own; give its address and process id."""
    from tests.environment import free_port

    port = free_port()
    command = _uvicorn(application, "--host", "127.0.0.1", "--port", str(port))
    with process_of(command, port, {"PYTHONWARNINGS": "ignore", **environment}) as found:
        yield found


def _uvicorn(application: str, *where: str) -> list[str]:
    return [
        sys.executable, "-m", "uvicorn", application, *where,
        "--log-level", "warning", "--ws", "none", "--timeout-keep-alive", "75",
    ]  # fmt: skip


def add_stalls(parser: argparse.ArgumentParser) -> None:
    """Take the flag that says where `serving_product` writes what held its event loop up."""
    parser.add_argument("--stalls", metavar="FILE", help="Write what held our event loop up; see tests.bench.stalls.")


@contextmanager
def serving_product(environment: Mapping[str, str], *, stalls: str | None = None) -> Iterator[tuple[str, int]]:
    """Serve the product's application, watched where `stalls` names a file; give its address and process id."""
    application, watched = "greenllm.asgi:application", {}
    if stalls:
        application, watched = "tests.bench.stalls:application", {"BENCH_STALL_LOG": stalls}
    with serving(application, {**environment, **watched}) as found:
        yield found


@contextmanager
def sharing_product(environment: Mapping[str, str], count: int) -> Iterator[tuple[str, list[int]]]:
    """Serve the product by several web processes that accept on one socket, as the units of `deploy/systemd` do."""
    given = {"PYTHONWARNINGS": "ignore", **environment}
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as shared, ExitStack() as running:
        number, port = shared.fileno(), shared.getsockname()[1]
        command = _uvicorn("greenllm.asgi:application", "--fd", str(number))
        begun = [running.enter_context(process_of(command, port, given, pass_fds=[number])) for _ in range(count)]
        pids = [pid for _, pid in begun]
        _wait_for(pids)
        yield f"http://127.0.0.1:{port}", pids


def _wait_for(pids: Sequence[int]) -> None:
    """Wait until each web process has said that it is there: whoever asks at their socket hears only of the first."""
    from router.models import WebProcess

    deadline = time.monotonic() + 60
    while WebProcess.objects.filter(number__in=pids).count() < len(pids):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not all of the web processes {pids} have come up within a minute")
        time.sleep(0.1)


@contextmanager
def process_of(
    command: Sequence[str], port: int, environment: Mapping[str, str], *, pass_fds: Sequence[int] = ()
) -> Iterator[tuple[str, int]]:
    """Run a server; give its address and process id."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        pass_fds=pass_fds,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(address, timeout=20)
                break
            except httpx.TransportError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.1)
        yield address, process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


@contextmanager
def installation(upstream: str) -> Iterator[tuple[dict[str, str], str]]:
    """Make a federation on the inference server; give what its web process needs, and a key."""
    from django.conf import settings
    from django.db import connection, connections
    from django.test.utils import setup_databases, teardown_databases
    from django.utils import timezone

    from benchmarks.models import Deployment
    from greenllm.embedded.catalog import embedded_services
    from greenllm.embedded.supervisor import Supervisor
    from router import wiring
    from router.keys import create_key
    from tests import factories as make
    from tests.router.standins import make_index

    services = embedded_services(settings.EMBEDDED, ["postgres", "valkey", "chroma"])
    with Supervisor(settings.EMBEDDED, services):
        folder, _, _ = settings.EMBEDDED.database_url.rpartition("/")
        former = setup_databases(verbosity=0, interactive=False)
        try:
            server = make.make_server(base_url=upstream)
            models = [make.make_deployment(name, server=server) for name in ("small", "large")]
            embedder = make.make_deployment("embedder", server=server, purpose="embedding")
            Deployment.objects.filter(pk=embedder.pk).update(state="active", state_changed_at=timezone.now())
            settings.EMBEDDER_NAME, settings.EMBEDDER_HOST = "embedder", upstream
            prompts = [make.make_prompt(f"prompt number {number}", category="math") for number in range(200)]
            for prompt in prompts:
                for deployment, energy_j in zip(models, (10.0, 90.0), strict=True):
                    make.make_response(prompt, deployment, energy_j=energy_j, verdict="correct")
            make_index(prompts, embedder=wiring.embedder(), store=wiring.vector_store())
            secret = create_key(owner_id=make.make_user().pk, name="bench").secret
            yield (
                {
                    "DATABASE_URL": f"{folder}/{connection.settings_dict['NAME']}",
                    "GREENLLM_DATABASE_POOL": "20",
                    "GREENLLM_EMBEDDER": "embedder",
                    "OLLAMA_HOST": upstream,
                    "GREENLLM_EMBEDDER_HOST": upstream,
                },
                secret,
            )
        finally:
            connections.close_all()
            teardown_databases(former, verbosity=0)


@contextmanager
def working(given: Mapping[str, str]) -> Iterator[int]:
    """Run the worker of the machine; give its process id."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "work"], env={**os.environ, **given}, stdout=subprocess.DEVNULL
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
