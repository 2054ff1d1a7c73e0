"""What the gateway adds to an answer, beside a bare pass-through, Portkey and none: `make bench-gateway`.

Every server is one process; the inference server is a script. All are measured in one run, one after the other, on a
database that is thrown away. Only ratios of one run can be compared with those of another machine.
"""

import argparse
import asyncio
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil

from tests.bench.gateway_load import Target, cancels, closed_loop, open_loop, streams
from tests.bench.installation import add_stalls, installation, process_of, serving, serving_product
from tests.bench.table import Table

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")
# with a later server package its gateway fails every stream
PORTKEY = {
    "private": True,
    "dependencies": {"@portkey-ai/gateway": "1.15.2", "@hono/node-server": "1.14.1"},
    "overrides": {"@hono/node-server": "1.14.1"},
}
SCRIPTED = "delay 0.1 0.3"
PARTS = ["open", "closed", "streams", "cancels"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="How long each loop runs.")
    parser.add_argument("--rate", type=float, default=85, help="Requests a second of the open loop.")
    parser.add_argument("--streams", type=int, default=500, help="Streams at once.")
    parser.add_argument("--tokens", type=int, default=100, help="Tokens of each, 10 a second.")
    parser.add_argument("--cancels", type=int, default=50, help="Answers that are left, of each kind.")
    parser.add_argument("--no-portkey", action="store_true", help="Do not fetch Portkey from npm.")
    parser.add_argument("--ours", action="store_true", help="Measure neither Portkey nor the bare pass-through.")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="Measure these parts only.")
    add_stalls(parser)
    options = parser.parse_args()

    import django

    from tests import environment  # noqa: F401  a var directory of the tests' own, before settings are read

    django.setup()
    logging.disable(logging.WARNING)
    table = Table()
    print(f"load of the machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")  # noqa: T201
    with ExitStack() as running:
        targets, upstream = _targets(running, table, options)
        asyncio.run(_measure(table, targets, upstream, options))
    print(f"missed: {', '.join(table.missed) or 'none'}")  # noqa: T201
    return 0


async def _measure(table: Table, targets: Sequence[Target], upstream: str, options: argparse.Namespace) -> None:
    if "open" in options.only:
        for target in targets:
            await _open(table, target, upstream, options)
        await _open(table, targets[-1], upstream, options, is_embedded_anew=True)
    if "closed" in options.only:
        await _closed(table, targets, options)
    if "streams" in options.only:
        for target in targets:
            await _stream(table, target, count=options.streams, tokens=options.tokens, rate=10, limit=1.2)
            await _stream(table, target, count=min(100, options.streams), tokens=options.tokens, rate=25, limit=1.1)
    if "cancels" in options.only:
        for target in targets:
            await _cancel(table, target, upstream, options)


async def _open(
    table: Table, target: Target, upstream: str, options: argparse.Namespace, *, is_embedded_anew: bool = False
) -> None:
    """Tell what is added to answers to a few prompts, or to ever new ones, for which a scripted embedder is asked."""
    name, count = target.name, round(options.rate * options.seconds)
    first = scripts = [SCRIPTED + " " * number for number in range(8)]
    if is_embedded_anew:
        name, scripts = f"{name}, embedded anew", [f"{SCRIPTED} of new prompt {number}" for number in range(count)]
    httpx.get(upstream + "/draw")
    found = await open_loop(target, rate=options.rate, seconds=options.seconds, scripts=scripts, first=first)
    p50, p99 = _p50_p99(found.added_ms)
    is_ours = target.page.startswith("/v1") and not is_embedded_anew
    table.row(
        f"{name}: added at {options.rate:g}/s, p50 / p99", f"{p50:.1f} / {p99:.1f} ms",
        "< 6 / 20 ms" if is_ours else "", is_ok=p50 < 6 and p99 < 20 if is_ours else None, n=count,
    )  # fmt: skip
    for what, values in (
        ("with the client's wait for a connection", found.with_wait_ms),
        ("the client was late by", found.late_ms),
    ):
        p50, p99 = _p50_p99(values)
        table.row(f"{name}: {what}", f"{p50:.1f} / {p99:.1f} ms", n=count)


def _p50_p99(values: Sequence[float]) -> tuple[float, float]:
    found = sorted(values)
    return found[len(found) // 2], found[int(len(found) * 0.99)]


async def _closed(table: Table, targets: Sequence[Target], options: argparse.Namespace) -> None:
    bare = 0.0
    for target in targets:
        used_s = _cpu_s(target)
        rate, count = await closed_loop(target, connections=20, seconds=options.seconds, script="delay 0 0")
        bare = rate if target.name == "bare httpx" else bare
        is_compared = target.page.startswith("/v1") and bare > 0
        table.row(
            f"{target.name}: closed loop of 20", f"{rate:.0f} /s" + (f", {rate / bare:.2f} x bare" if bare else ""),
            ">= bare" if is_compared else "", is_ok=rate >= bare if is_compared else None, n=count,
        )  # fmt: skip
        if target.pid is not None:  # on a busy machine this says more than the rate
            each_ms = (_cpu_s(target) - used_s) / count * 1000
            table.row(f"{target.name}: closed loop of 20, processor time of each", f"{each_ms:.2f} ms", n=count)


def _cpu_s(target: Target) -> float:
    times = None if target.pid is None else psutil.Process(target.pid).cpu_times()
    return 0.0 if times is None else times.user + times.system


async def _cancel(table: Table, target: Target, upstream: str, options: argparse.Namespace) -> None:
    for word, when in (("stall", "after the first byte"), ("hang", "before it")):
        noticed = await cancels(target, upstream, word=word, count=options.cancels)
        p99 = noticed[int(len(noticed) * 0.99)]
        is_ours = target.page.startswith("/v1")
        table.row(
            f"{target.name}: cancel seen upstream {when}, p99", "never" if p99 == float("inf") else f"{p99:.0f} ms",
            "< 200 ms" if is_ours else "", is_ok=p99 < 200 if is_ours else None, n=len(noticed),
        )  # fmt: skip


async def _stream(table: Table, target: Target, *, count: int, tokens: int, rate: float, limit: float) -> None:
    found = await streams(target, count=count, tokens=tokens, rate=rate)
    ratio = found.seconds / (tokens / rate)
    is_ours = target.page.startswith("/v1")
    name = f"{target.name}: {count} streams at {rate:g} tokens/s"
    if not found.whole_count and not is_ours:
        table.skipped(name, "none was whole: it failed them")
        return
    table.row(
        f"{name}, of the ideal time", f"{ratio:.2f} x", f"< {limit:g} x" if is_ours else "",
        is_ok=ratio < limit if is_ours else None, n=count,
    )  # fmt: skip
    table.row(
        f"{name}, whole", str(found.whole_count), "all" if is_ours else "",
        is_ok=found.whole_count == count if is_ours else None, n=count,
    )  # fmt: skip
    if found.slowest_page_ms is not None:
        table.row(
            f"{name}, slowest other page", f"{found.slowest_page_ms:.0f} ms", "< 300 ms" if is_ours else "",
            is_ok=found.slowest_page_ms < 300 if is_ours else None,
        )  # fmt: skip
    if target.pid is not None:
        used_mb = psutil.Process(target.pid).memory_info().rss / 1e6
        table.row(
            f"{name}, memory after", f"{used_mb:.0f} MB", "< 400 MB" if is_ours else "",
            is_ok=used_mb < 400 if is_ours else None,
        )  # fmt: skip


def _targets(running: ExitStack, table: Table, options: argparse.Namespace) -> tuple[list[Target], str]:
    """Start every server; return what is compared, and the address of the inference server."""

    def serve(application: str, **environment: str) -> tuple[str, int]:
        return running.enter_context(serving(application, environment))

    upstream, _ = serve("tests.bench.gateway_servers:upstream")
    targets = [Target("direct", upstream)]
    if not options.ours:
        bare, bare_pid = serve("tests.bench.gateway_servers:bare", BENCH_UPSTREAM=upstream)
        targets.append(Target("bare httpx", bare, page="/page", pid=bare_pid))
    portkey = None if options.no_portkey or options.ours else _portkey(running, table, upstream)
    targets += [portkey] if portkey else []
    environment, secret = running.enter_context(installation(upstream))
    ours, pid = running.enter_context(serving_product(environment, stalls=options.stalls))
    key = {"Authorization": f"Bearer {secret}"}
    targets += [
        Target("GreenLLM, named", ours, headers=key, page="/v1/models", pid=pid),
        Target("GreenLLM, auto", ours, model="auto", headers=key, page="/v1/models", pid=pid),
    ]
    return targets, upstream


def _portkey(running: ExitStack, table: Table, upstream: str) -> Target | None:
    """Start Portkey where npm can fetch it."""
    from tests.environment import free_port

    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        table.skipped("Portkey", "no npm or node")
        return None
    folder = Path(running.enter_context(TemporaryDirectory()))
    (folder / "package.json").write_text(json.dumps(PORTKEY), encoding="utf8")
    fetched = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if fetched.returncode:
        table.skipped("Portkey", f"npm: {fetched.stderr.strip().splitlines()[-1:]}")
        return None
    port = free_port()
    start = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    command = [node, str(start), "--headless", f"--port={port}"]
    try:
        address, pid = running.enter_context(process_of(command, port, {"NODE_ENV": "production"}))
    except httpx.TransportError as error:
        table.skipped("Portkey", f"it does not start ({error})")
        return None
    headers = {
        "x-portkey-provider": "openai", "x-portkey-custom-host": f"{upstream}/v1", "Authorization": "Bearer none",
    }  # fmt: skip
    found = httpx.post(
        f"{address}/v1/chat/completions", headers=headers, timeout=20,
        json={"model": "small", "messages": [{"role": "user", "content": "delay 0 0"}]},
    )  # fmt: skip
    if found.status_code != 200:
        table.skipped("Portkey", f"it answers {found.status_code}: {found.text[:200]}")
        return None
    return Target("Portkey", address, headers=headers, page="/", pid=pid)


if __name__ == "__main__":
    sys.exit(main())
