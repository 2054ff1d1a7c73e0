"""Server time of every main page on a large database: `make bench-dashboards`; BENCH="--responses 1000000": full size.

The rows are made by SQL in an installation of their own, with the triggers on, so that the rollups are made as they
would be. Pages are asked over HTTP by a signed-in admin, one at a time: warm, and once after each restart of Postgres
and web (a request to /health comes before, as a load balancer would have it).
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.bench.table import Table

STUDIES, MODELS, CATEGORIES = 10, 5, 5
WARM_MS, RESTARTED_MS = 150.0, 500.0
_AT_ONCE = 50_000
_READINGS = 4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--responses", type=int, default=20_000, help="Also routing decisions; 1000000 for the full.")
    parser.add_argument("--visits", type=int, default=20, help="Of each page, warm.")
    parser.add_argument("--restarts", type=int, default=2)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="greenllm-bench-"))
    from tests.environment import test_environment

    os.environ |= {"DJANGO_SETTINGS_MODULE": "greenllm.settings", **test_environment(folder)}
    os.environ.pop("GREENLLM_DATABASE_POOL", None)
    import django

    django.setup()
    try:
        return _run(Table(), options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(table: Table, options: argparse.Namespace) -> int:
    print(f"load of the machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")  # noqa: T201
    cookies: dict[str, str] = {}
    pages: list[str] = []

    def fill() -> None:
        begun = time.perf_counter()
        _fill(options.responses, table)
        table.row(f"filling {options.responses:,} responses", f"{time.perf_counter() - begun:.0f} s", "about 5 min")
        cookies.update(_signed_in())
        pages.extend(_pages())

    restarted: dict[str, list[float]] = {}
    for number in range(options.restarts + 1):
        with _Installation(first=fill if number == 0 else None) as base_url:
            client = httpx.Client(base_url=base_url, cookies=cookies, timeout=300, headers={"Accept": "text/html"})
            with client:
                client.get("/health").raise_for_status()
                for page in pages:
                    taken = _asked(client, page)
                    if number:
                        restarted.setdefault(page, []).append(taken)
                if not number:
                    warm = {page: [_asked(client, page) for _ in range(options.visits)] for page in pages}
    for page in pages:
        times = sorted(warm[page])
        table.below(f"{page} warm, p95", times[int(0.95 * (len(times) - 1))], WARM_MS, "ms", n=len(times), digits=0)
        table.row(f"{page} warm, p50", f"{statistics.median(times):.0f} ms", n=len(times))
        table.below(f"{page} first after a restart", max(restarted[page]), RESTARTED_MS, "ms", n=len(restarted[page]))
    print(f"missed: {', '.join(table.missed) or 'none'}")  # noqa: T201
    return 0


class _Installation:
    """Postgres, Valkey and a web server of their own; leaving it stops all three."""

    def __init__(self, first: Callable[[], None] | None) -> None:
        self._first = first

    def __enter__(self) -> str:
        from django.conf import settings
        from django.core.management import call_command

        from greenllm.embedded.catalog import embedded_services
        from greenllm.embedded.supervisor import Supervisor

        self._services = Supervisor(settings.EMBEDDED, embedded_services(settings.EMBEDDED, ["postgres", "valkey"]))
        self._services.start()
        self._services.wait_ready("postgres")
        if self._first is not None:
            call_command("migrate", verbosity=0)
            self._first()
        from django.db import connections

        connections.close_all()
        address = f"http://127.0.0.1:{settings.WEB_PORT}"
        command = [sys.executable, "-W", "ignore", "-m", "uvicorn", "greenllm.asgi:application", "--port"]
        self._web = subprocess.Popen([*command, str(settings.WEB_PORT), "--log-level", "warning"])
        for _ in range(600):
            try:
                httpx.get(f"{address}/health", timeout=5)
            except httpx.TransportError:
                time.sleep(0.1)
            else:
                return address
        raise RuntimeError("the web server did not start")

    def __exit__(self, *_: object) -> None:
        self._web.terminate()
        self._web.wait(30)
        self._services.stop()


def _asked(client: httpx.Client, page: str) -> float:
    begun = time.perf_counter()
    answer = client.get(page)
    taken = 1000 * (time.perf_counter() - begun)
    if answer.status_code != 200:
        raise RuntimeError(f"{page} answered {answer.status_code}")
    return taken


def _pages() -> list[str]:
    from benchmarks.models import Response, Study

    study = Study.objects.order_by("-pk").first()
    response = Response.objects.order_by("-pk").first()
    assert study is not None
    assert response is not None
    return [
        "/", "/dashboards/", f"/dashboards/?study={study.name}", "/dashboards/operations/",
        "/dashboards/operations/?span=30d&compare=before", "/studies/", f"/studies/{study.name}/",
        f"/responses/{response.pk}/", "/federation/", "/routing/", "/label/quality/", "/label/", "/chat/", "/account/",
    ]  # fmt: skip


def _signed_in() -> dict[str, str]:
    from django.test import Client

    from greenllm.roles import Role, grant_role
    from tests import factories as make

    admin = make.make_user("bench-admin")
    for role in (Role.ADMIN, Role.ANNOTATOR):
        grant_role(user=admin, role=role)
    client = Client()
    client.force_login(admin)
    return {name: morsel.value for name, morsel in client.cookies.items()}


def _fill(count: int, table: Table) -> None:
    from django.db import connection
    from django.utils import timezone

    from tests import factories as make

    server = make.make_server()
    deployments = [make.make_deployment(f"model-{number}", server=server) for number in range(MODELS)]
    repeats = max(1, count // 100_000)
    prompts = [
        make.make_prompt(category=f"kind-{number % CATEGORIES}")
        for number in range(max(1, count // (STUDIES * MODELS * repeats)))
    ]
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        for _ in range(STUDIES):
            study = make.make_study(state="finished", started_at=timezone.now(), finished_at=timezone.now())
            study.targets.bulk_create(
                [study.targets.model(study=study, deployment=one, position=at) for at, one in enumerate(deployments)]
            )
            _fill_study(cursor, study, deployments, prompts, repeats)
        begun = time.perf_counter()
        _fill_traffic(cursor, count, deployments, prompts[0].category_id)
        table.row(f"of it {count:,} routed requests", f"{time.perf_counter() - begun:.0f} s")
        cursor.execute("SELECT labeling_fold_answers(), router_fold_hours()")
        cursor.execute("ANALYZE")
        cursor.execute("SELECT pg_size_pretty(pg_database_size(current_database()))")
        table.row("size of the database", str(cursor.fetchone()[0]))


def _fill_study(cursor: Any, study: Any, deployments: list[Any], prompts: list[Any], repeats: int) -> None:
    """Make every answer of a study, with measurement, four readings and for most of them a label."""
    from benchmarks.models import ChannelReading, Measurement, Response
    from labeling.models import Label
    from tests import factories as make

    given = {
        "prompts": [one.pk for one in prompts], "deployments": [one.pk for one in deployments], "repeats": repeats,
    }  # fmt: skip
    cursor.execute("DROP TABLE IF EXISTS asked")
    cursor.execute(
        """
        CREATE TEMPORARY TABLE asked AS
        SELECT nextval('benchmarks_measurement_id_seq') AS measurement_id, nextval('benchmarks_response_id_seq') AS id,
               prompt, deployment, repeat, row_number() OVER () AS place, 5 + 100 * random() AS energy
        FROM unnest(%(prompts)s::bigint[]) AS prompt, unnest(%(deployments)s::bigint[]) AS deployment,
             generate_series(1, %(repeats)s) AS repeat
        """,
        given,
    )
    measured = make.make_measurement()
    _insert(
        cursor, measured, "asked",
        {"id": "measurement_id", "energy_j": "energy", "sci_gco2e": "energy * 0.0003"},
    )  # fmt: skip
    _insert(
        cursor,
        Response(
            study=study, state="finished", finished_at=make.NOW, text="An answer of some words.",
            parameter_set=study.parameter_sets.get(),
        ),
        "asked",
        {"id": "id", "prompt_id": "prompt", "deployment_id": "deployment", "repeat": "repeat", "sequence": "place",
         "measurement_id": "measurement_id", "output_token_count": "(20 + 100 * random())::int"},
    )  # fmt: skip
    _insert(
        cursor,
        ChannelReading(
            measurement=measured, meter="replay", is_in_boundary=False, sample_count=10, coverage=1, quality="measured"
        ),
        f"asked, generate_series(1, {_READINGS}) AS channel",
        {"measurement_id": "measurement_id", "channel": "'channel-' || channel", "energy_j": "energy", "id": None},
    )  # fmt: skip
    _insert(
        cursor, Label(source="imported", verdict="correct"), "asked WHERE random() < 0.8",
        {"response_id": "id", "verdict": "CASE WHEN random() < 0.7 THEN 'correct' ELSE 'incorrect' END",
         "uuid": "gen_random_uuid()", "created_at": "now()", "id": None},
    )  # fmt: skip
    Measurement.objects.filter(pk=measured.pk).delete()


def _fill_traffic(cursor: Any, count: int, deployments: list[Any], first_category_id: int) -> None:
    """Make routed requests of the latest thirty days, each with a decision and a generation."""
    from django.utils import timezone

    from router.models import GatewayRequest, RoutingDecision, UpstreamAttempt

    low, high = deployments[0].pk, deployments[-1].pk
    candidates = [
        {"deployment_id": one.pk, "model": str(one), "sci_gco2e": 0.001 * place, "quality": "estimated", "p": 0.7}
        for place, one in enumerate(deployments, start=1)
    ]
    moment = "now() - place * interval '1 second' * (2592000.0 / total)"
    chosen = f"{low} + (place %% {high - low + 1})"
    for begin in range(0, count, _AT_ONCE):
        rows = (
            f"(SELECT generate_series({begin + 1}, {min(count, begin + _AT_ONCE)}) AS place, {count} AS total) AS one"
        )
        _insert(
            cursor,
            GatewayRequest(surface="openai", requested_model="auto", state="answered", started_at=timezone.now()), rows,
            {"id": "place", "public_id": "'req_' || place", "started_at": moment,
             "finished_at": f"{moment} + random() * interval '2 seconds'"},
        )  # fmt: skip
        _insert(
            cursor,
            RoutingDecision(
                policy="knn", reason="dial", explanation="Cheaper.", chosen=deployments[0], candidates=candidates,
                predicted_quality="estimated", decided_at=timezone.now(), baseline=deployments[-1],
            ),
            rows,
            {"request_id": "place", "decided_at": moment, "chosen_id": chosen, "choice_ms": "random() * 10",
             "category_id": f"{first_category_id} + place %% {CATEGORIES}",
             "predicted_sci_gco2e": "0.001 * (1 + place %% 5)", "id": None},
        )  # fmt: skip
        _insert(
            cursor,
            UpstreamAttempt(outcome="finished", started_at=timezone.now(), deployment=deployments[0], number=1), rows,
            {"request_id": "place", "started_at": moment, "finished_at": f"{moment} + random() * interval '2 seconds'",
             "deployment_id": chosen, "output_token_count": "(20 + 100 * random())::int",
             "time_to_first_token_ns": "(random() * 3e8)::bigint", "id": None},
        )  # fmt: skip
    cursor.execute("SELECT setval('router_gatewayrequest_id_seq', %s)", [count])


def _insert(cursor: Any, template: Any, rows: str, made: dict[str, str | None]) -> None:
    """Insert one row for each of `rows`: columns made by SQL, those made as None left out, the others as in a row."""
    from psycopg.types.json import Jsonb

    left = {
        one.column: getattr(template, one.attname) for one in template._meta.concrete_fields if one.column not in made
    }
    given = {name: Jsonb(value) if isinstance(value, dict | list) else value for name, value in left.items()}
    columns = {name: sql for name, sql in made.items() if sql is not None}
    names = ", ".join(f'"{name}"' for name in [*columns, *given])
    values = ", ".join([*columns.values(), *(f"%({name})s" for name in given)])
    cursor.execute(f"INSERT INTO {template._meta.db_table} ({names}) SELECT {values} FROM {rows}", given)


if __name__ == "__main__":
    sys.exit(main())
