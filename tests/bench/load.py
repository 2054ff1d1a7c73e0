"""Chat and labeling at once on one web process (or several), for ten minutes: `make bench-load`.

Chat through the router (`auto`) at a steady rate: most prompts are known to the process, which keeps their embeddings,
and some are new, so that the embedder is asked. Inference server and embedder are a script, people judge beside it,
and all of it runs on this machine: web process, Postgres, Valkey, Chroma, the script and the clients. A row
says how full the whole machine was.
"""

import argparse
import asyncio
import logging
import os
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack

import psutil

from tests.bench.gateway_load import Asked, Target, session, steady, whole
from tests.bench.installation import add_stalls, installation, serving, serving_product, sharing_product
from tests.bench.judging import Judge, make_judges, vote_calmly
from tests.bench.table import Table

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")
SCRIPTED = "delay 0.1 0.3"
KNOWN_PROMPTS = 50
ADDED_MS, LABELING_MS = 250, 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="How long the load lasts.")
    parser.add_argument("--rate", type=float, default=60, help="Requests a second whose embedding is kept.")
    parser.add_argument("--new", type=float, default=5, help="Requests a second whose prompt is embedded.")
    parser.add_argument("--people", type=int, default=20, help="People who each judge an answer every 2 s.")
    parser.add_argument("--web", type=int, default=1, help="Web processes, which accept on one socket.")
    parser.add_argument("--responses", type=int, default=20_000, help="Answers that wait for them.")
    add_stalls(parser)
    options = parser.parse_args()
    if options.web > 1 and options.stalls:
        parser.error("--stalls watches one web process: leave --web out")

    import django

    from tests import environment  # noqa: F401  a var directory of the tests' own, before settings are read

    django.setup()
    logging.disable(logging.WARNING)
    from tests.labeling.queues import make_many_answers

    table = Table()
    print(f"load of the machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")  # noqa: T201
    with ExitStack() as running:
        upstream, _ = running.enter_context(serving("tests.bench.gateway_servers:upstream", {}))
        environment_of_web, secret = running.enter_context(installation(upstream))
        make_many_answers(options.responses)
        judges = make_judges(options.people)
        if options.web > 1:
            address, pids = running.enter_context(sharing_product(environment_of_web, options.web))
        else:
            address, pid = running.enter_context(serving_product(environment_of_web, stalls=options.stalls))
            pids = [pid]
        target = Target("GreenLLM", address, model="auto", headers={"Authorization": f"Bearer {secret}"})
        used_s, busy_s = [_cpu_s(pid) for pid in pids], _busy_s()
        known, new = asyncio.run(_load(target, judges, options))
        lasted_s = options.minutes * 60
        for pid, before_s in zip(pids, used_s, strict=True):
            table.row("web process, of one core", f"{(_cpu_s(pid) - before_s) / lasted_s:.0%}")
        all_s = lasted_s * (os.cpu_count() or 1)
        table.row("the whole machine, of all its cores", f"{(_busy_s() - busy_s) / all_s:.0%}")
        tell(table, known, new, judges, options)
        _audit(table, known, new, judges)
    print(f"missed: {', '.join(table.missed) or 'none'}")  # noqa: T201
    return 0


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def _busy_s() -> float:
    times = psutil.cpu_times()
    return sum(times) - times.idle - times.iowait - times.guest - times.guest_nice


def known_prompt(number: int) -> str:
    return f"{SCRIPTED} of known prompt {number % KNOWN_PROMPTS}"


def new_prompt(number: int) -> str:
    return f"{SCRIPTED} of new prompt {number}"


async def _load(target: Target, judges: Sequence[Judge], options: argparse.Namespace) -> tuple[Asked, Asked]:
    """Put all loads on at once; the known prompts are asked once before, so that their embeddings are kept."""
    async with session(10) as http:
        await asyncio.gather(*(whole(http, target, known_prompt(number)) for number in range(KNOWN_PROMPTS)))
    seconds = options.minutes * 60
    known, new, _ = await asyncio.gather(
        steady(target, rate=options.rate, seconds=seconds, script=known_prompt),
        steady(target, rate=options.new, seconds=seconds, script=new_prompt),
        vote_calmly(target.address, judges, seconds=seconds),
    )
    return known, new


def tell(table: Table, known: Asked, new: Asked, judges: Sequence[Judge], options: argparse.Namespace) -> None:
    """Print what was measured beside its bounds; nothing asked is a bound that was missed."""
    for name, added in (
        (f"added, embedding kept, {options.rate:g}/s", known.added_ms),
        (f"added, embedded anew, {options.new:g}/s", new.added_ms),
        ("added, all of them", known.added_ms + new.added_ms),
    ):
        p50, p99 = _percentile(added, 50), _percentile(added, 99)
        table.row(
            f"{name}, p50 / p99", f"{p50:.1f} / {p99:.1f} ms", f"p99 < {ADDED_MS} ms", is_ok=p99 < ADDED_MS,
            n=len(added),
        )  # fmt: skip
    votes = [duration for judge in judges for duration in judge.durations_ms]
    p50, p95 = _percentile(votes, 50), _percentile(votes, 95)
    table.row(
        f"a vote and what comes next, {len(judges)} people, p50 / p95", f"{p50:.1f} / {p95:.1f} ms",
        f"p95 < {LABELING_MS} ms", is_ok=p95 < LABELING_MS, n=len(votes),
    )  # fmt: skip
    errors = known.errors + new.errors
    retries = sum(judge.retry_count for judge in judges)
    table.row("errors of chat", str(errors.total()), "0", is_ok=not errors, n=known.count + new.count)
    for words, count in errors.most_common(5):
        table.row(f"  {words[:56]}", str(count))
    table.row("votes sent again after an error", str(retries), "0", is_ok=not retries, n=len(votes))
    table.row("clients late to ask, p99", f"{_percentile(known.late_ms + new.late_ms, 99):.1f} ms")


def _audit(table: Table, known: Asked, new: Asked, judges: Sequence[Judge]) -> None:
    """Count what the database holds against what clients were told."""
    from labeling.models import Label
    from router.models import GatewayRequest

    answered = len(known.added_ms) + len(new.added_ms) + KNOWN_PROMPTS
    stored = GatewayRequest.objects.filter(state="answered").count()
    table.row("answered and not stored", str(answered - stored), "0", is_ok=answered == stored, n=answered)
    accepted = sum(len(judge.accepted) for judge in judges)
    labels = Label.objects.current().of_people().filter(labeler_id__in=[judge.person_id for judge in judges]).count()
    table.row("votes accepted and not stored", str(accepted - labels), "0", is_ok=accepted == labels, n=accepted)


def _percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile; of too few values the largest, and endless where there are none."""
    if len(values) < 2:
        return max(values, default=float("inf"))
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


if __name__ == "__main__":
    sys.exit(main())
