"""A large database for the bench of pages, made by SQL with the triggers on, so that rollups are made as they would be.

Besides answers, readings and routed requests: people who judged, graders' findings, conversations, kept prompts, keys.
"""

import time
from typing import Any

from tests.bench.table import Table

STUDIES, MODELS, CATEGORIES = 10, 5, 5
_AT_ONCE = 50_000
_READINGS = 4
WATCHER = "bench-admin"  # who looks at the pages
_ANNOTATORS = 20
_PEOPLE = 500
_SHARE_ASIDE = 50  # for so many answers one conversation, and one prompt of live traffic that is kept


def fill(count: int, table: Table) -> None:
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
            study = make.make_study(
                state="finished", repeats=repeats, started_at=timezone.now(), finished_at=timezone.now()
            )
            study.targets.bulk_create(
                [study.targets.model(study=study, deployment=one, position=at) for at, one in enumerate(deployments)]
            )
            _fill_study(cursor, study, deployments, prompts, repeats)
        begun = time.perf_counter()
        _fill_traffic(cursor, count, deployments, prompts[0].category_id)
        table.row(f"of it {count:,} routed requests", f"{time.perf_counter() - begun:.0f} s")
        begun = time.perf_counter()
        fill_aside(cursor, count, deployments)
        table.row("of it people, labels, conversations, kept prompts", f"{time.perf_counter() - begun:.0f} s")
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


def fill_aside(cursor: Any, count: int, deployments: list[Any]) -> None:
    """Make what other pages list; conversations and a share of the labels are those of who looks at the pages."""
    from tests import factories as make

    admin = make.make_user(WATCHER)
    judges = [admin, *(make.make_user(f"annotator-{number}") for number in range(_ANNOTATORS))]
    _fill_labels(cursor, [one.pk for one in judges])
    _fill_conversations(cursor, admin, max(10, count // _SHARE_ASIDE))
    _fill_kept(cursor, deployments[0], max(10, count // _SHARE_ASIDE))
    _fill_keys(cursor)


def _fill_labels(cursor: Any, judge_ids: list[int]) -> None:
    """Let people judge a tenth of the answers, half of those twice, and a grader look at them; void one's labels."""
    from django.utils import timezone

    from labeling.models import Correction, Grade, Label

    some = "benchmarks_response WHERE id %% {every} = 0"
    verdict = "(ARRAY['correct', 'incorrect', 'unsure'])[1 + (random() * 2.1)::int]"
    judges = f"ARRAY{judge_ids}"
    for first, every in ((0, 10), (1, 20)):
        _insert(
            cursor,
            Label(source="person", verdict="correct", active_seconds=9),
            some.format(every=every),
            {"response_id": "id", "verdict": verdict, "uuid": "gen_random_uuid()", "id": None,
             "labeler_id": f"({judges}::bigint[])[1 + (id / 10 + {first}) %% {len(judge_ids)}]",
             "created_at": "now() - id %% 1000000 * interval '3 seconds'"},
        )  # fmt: skip
    _insert(
        cursor,
        Grade(grader="number", grader_version=1, verdict="correct", reason="The same number.", duration_ms=1),
        some.format(every=10),
        {"response_id": "id", "verdict": verdict, "created_at": "now()", "id": None},
    )
    voided = Correction.objects.create(
        annotator_id=judge_ids[-1], until=timezone.now(), reason="Guessed.", created_at=timezone.now(), made_by=None
    )
    cursor.execute(
        "UPDATE labeling_label SET voided_at = now(), void_reason = 'Guessed.', correction_id = %s "
        "WHERE labeler_id = %s",
        [voided.pk, judge_ids[-1]],
    )
    Correction.objects.filter(pk=voided.pk).update(label_count=cursor.rowcount)


def _fill_conversations(cursor: Any, owner: Any, count: int) -> None:
    from router.models import Conversation, Message
    from tests import factories as make

    rows = f"generate_series(1, {count}) AS place"
    template = Conversation(owner=owner, title="", picked_model="auto", created_at=make.NOW, updated_at=make.NOW)
    _insert(
        cursor, template, rows,
        {"id": None, "public_id": "'conv_' || place", "title": "'Question ' || place",
         "updated_at": "now() - place * interval '1 minute'"},
    )  # fmt: skip
    for role in ("user", "assistant"):
        _insert(
            cursor, Message(role=role, created_at=make.NOW), f"router_conversation WHERE owner_id = {owner.pk}",
            {"id": None, "conversation_id": "id", "text": "'Some words of ' || title"},
        )  # fmt: skip


def _fill_kept(cursor: Any, deployment: Any, count: int) -> None:
    from benchmarks.models import Dataset, Prompt, Response
    from router.keeping import LIVE_DATASET, LIVE_STUDY
    from tests import factories as make

    study = make.make_study(LIVE_STUDY, kind="live", state="finished")
    dataset = Dataset.objects.create(name=LIVE_DATASET)
    category = Prompt.objects.latest("pk").category
    _insert(
        cursor, Prompt(dataset=dataset, category=category, role="unused"), f"generate_series(1, {count}) AS place",
        {"id": None, "external_id": "'live-' || place", "position": "place", "text": "'Kept prompt ' || place",
         "item_text": "'Kept prompt ' || place"},
    )  # fmt: skip
    _insert(
        cursor,
        Response(
            study=study, deployment=deployment, state="finished", finished_at=make.NOW, text="An answer.",
            parameter_set=study.parameter_sets.get(),
        ),
        f"benchmarks_prompt WHERE dataset_id = {dataset.pk}",
        {"id": None, "prompt_id": "id", "sequence": "position"},
    )  # fmt: skip


def _fill_keys(cursor: Any) -> None:
    """Give keys to people, and every request of the endpoint to one of them."""
    from greenllm.models import User
    from router.models import ApiKey

    people = User.objects.bulk_create([User(username=f"person-with-key-{number}") for number in range(_PEOPLE)])
    ApiKey.objects.bulk_create([ApiKey(owner=one, name="key", prefix="glm_x", digest=one.username) for one in people])
    cursor.execute(
        """
        WITH keys AS (SELECT array_agg(id) AS ids FROM router_apikey)
        INSERT INTO router_keyday (api_key_id, day, spent_gco2e, request_count)
        SELECT ids[1 + number % cardinality(ids)], current_date - number % 30, 1, 10
        FROM keys, generate_series(1, 30 * cardinality(ids)) AS number
        ON CONFLICT DO NOTHING
        """
    )


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
