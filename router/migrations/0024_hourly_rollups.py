"""Count what the endpoint does by the hour, as it does it (router/models/hours.py).

A statement-level trigger on each of the three tables copies what counts of the rows that a statement touched into a
table of changes, its new rows with the sign 1 and its old ones with -1, and nothing else: a request must not wait for
sums. Each rollup is a view: what is in its ledger, and what the changes add. Whoever commits every 500th change folds
them into the ledgers; a statement of more rows than that appends its differences to the ledgers itself. Each is worked
out from the row alone, so that nothing has to be locked and whatever else is going on does not matter.
`router_<rollup>_now()` counts all rows anew, for whoever doubts.
"""

import benchmarks.models.rollups
from django.db import migrations, models

FOLD_EVERY = 500
_MS = "(extract(epoch FROM {end} - {begin}) * 1000)"
_DURATION = _MS.format(end="finished_at", begin="started_at")
_DECIDING = "(coalesce(embedding_ms, 0)::numeric + coalesce(search_ms, 0)::numeric + coalesce(choice_ms, 0)::numeric)"
_TIMED = "num_nonnulls(embedding_ms, search_ms, choice_ms) > 0"
_BUCKET = "least(100, greatest(-40, floor(4 * ln(greatest(ms, 0.001)::float8) / ln(2::float8))))::smallint"


def summed(expression: str, *, when: str = "") -> str:
    """Return the sum of what a row adds, 0 where it says nothing."""
    counted = f"sign * ({expression})"
    return f"coalesce(sum({counted}){f' FILTER (WHERE {when})' if when else ''}, 0)"


def given(column: str) -> str:
    """Return how many rows say something."""
    return f"coalesce(sum(sign) FILTER (WHERE {column} IS NOT NULL), 0)"


class Counted:
    """One rollup: the columns of its key with what they are made of, its sums likewise, and the rows counted."""

    def __init__(self, name, key, sums, rows="{rows}"):
        self.name, self.key, self.sums, self.rows = name, key, sums, rows

    @property
    def table(self):
        return f"router_{self.name.replace('_', '')}"

    @property
    def columns(self):
        return ", ".join([*self.key, *self.sums])

    @property
    def ledger(self):
        return f"{self.table}_ledger"

    def differences(self, signed):
        """Return the query of what signed rows add to each key."""
        chosen = ", ".join(f"{made} AS {column}" for column, made in (self.key | self.sums).items())
        places = ", ".join(str(place) for place in range(1, len(self.key) + 1))
        nothing = " OR ".join(f"{made} <> 0" for made in self.sums.values())
        return f"SELECT {chosen} FROM ({self.rows.format(rows=signed)}) AS counted GROUP BY {places} HAVING {nothing}"

    def appended(self, signed):
        return f"INSERT INTO {self.ledger} ({self.columns}) {self.differences(signed)}"

    def fold(self):
        keys, sums = (", ".join(f"'{one}'" for one in names) for names in (self.key, self.sums))
        return f"benchmarks_fold_rollup('{self.ledger}', 'began_at', ARRAY[{keys}], ARRAY[{sums}])"


def hour_of(column):
    return {"began_at": f"date_trunc('hour', {column}, 'UTC')"}


REQUESTS = Counted(
    "request_hour",
    hour_of("started_at")
    | {
        "surface": "surface", "state": "state", "error_code": "error_code", "cache_hit": "cache_hit",
        "is_background": "background_task <> ''", "is_replacement": "instead_of_id IS NOT NULL",
    },
    {
        "request_count": "sum(sign)", "ended_count": given("finished_at"), "duration_ms": summed(_DURATION),
        "cache_saved_count": given("cache_saved_gco2e"),
        "cache_saved_gco2e": summed("cache_saved_gco2e::numeric"),
    },
)
DECISIONS = Counted(
    "decision_hour",
    hour_of("decided_at")
    | {
        "category_id": "coalesce(category_id, 0)", "chosen_id": "chosen_id", "policy": "policy",
        "version_id": "coalesce(version_id, 0)", "reason": "reason", "quality": "predicted_quality",
        "is_live": "request_id IS NOT NULL",
    },
    {
        "decision_count": "sum(sign)", "predicted_count": given("predicted_sci_gco2e"),
        "predicted_gco2e": summed("predicted_sci_gco2e::numeric"),
        "predicted_gco2e_squared": summed("predicted_sci_gco2e::numeric * predicted_sci_gco2e::numeric"),
        "discarded_count": given("discarded_sci_gco2e"), "discarded_gco2e": summed("discarded_sci_gco2e::numeric"),
        "timed_count": f"coalesce(sum(sign) FILTER (WHERE {_TIMED}), 0)",
        "duration_ms": summed(_DECIDING, when=_TIMED),
    },
)
# both of one quality, as router.baseline has it; discarded runs of unknown SCI leave no saving to be told
ALTERNATIVES = Counted(
    "alternative_hour",
    hour_of("decided_at")
    | {
        "category_id": "coalesce(category_id, 0)", "chosen_id": "chosen_id", "alternative_id": "alternative_id",
        "is_baseline": "coalesce(alternative_id = baseline_id, false)", "quality": "predicted_quality",
    },
    {
        "decision_count": "sum(sign)",
        "chosen_gco2e": summed("predicted_sci_gco2e::numeric + coalesce(discarded_sci_gco2e, 0)::numeric"),
        "alternative_gco2e": summed("alternative_sci_gco2e::numeric"),
    },
    """
    SELECT signed.*, candidate.deployment_id AS alternative_id, candidate.sci_gco2e AS alternative_sci_gco2e
    FROM ({rows}) AS signed
    CROSS JOIN LATERAL jsonb_to_recordset(
        CASE jsonb_typeof(signed.candidates) WHEN 'array' THEN signed.candidates ELSE '[]' END
    ) AS candidate (deployment_id bigint, sci_gco2e float8, quality text)
    WHERE signed.request_id IS NOT NULL AND signed.predicted_sci_gco2e IS NOT NULL
        AND candidate.deployment_id IS NOT NULL AND candidate.sci_gco2e IS NOT NULL
        AND candidate.quality = signed.predicted_quality AND candidate.quality NOT IN ('', 'missing')
        AND (signed.steps = '[]' OR signed.discarded_sci_gco2e IS NOT NULL)
    """,
)
ATTEMPTS = Counted(
    "attempt_hour",
    hour_of("started_at") | {"deployment_id": "deployment_id", "outcome": "outcome"},
    {
        "attempt_count": "sum(sign)", "prompt_counted": given("prompt_token_count"),
        "prompt_token_count": summed("prompt_token_count"), "output_counted": given("output_token_count"),
        "output_token_count": summed("output_token_count"), "ended_count": given("finished_at"),
        "duration_ms": summed(_DURATION),
    },
)


def latencies(rows):
    return Counted(
        "latency_hour",
        {"began_at": "began_at", "part": "part", "deployment_id": "deployment_id", "bucket": _BUCKET},
        {"occurrence_count": "sum(sign)", "duration_ms": summed("ms")},
        f"SELECT sign, part, deployment_id, date_trunc('hour', moment, 'UTC') AS began_at, ms FROM ({rows}) AS timed",
    )


REQUEST_TIMES = latencies(f"""
    SELECT sign, 'total' AS part, 0 AS deployment_id, started_at AS moment, {_DURATION} AS ms
    FROM ({{rows}}) AS signed WHERE state = 'answered' AND finished_at IS NOT NULL
""")
DECISION_TIMES = latencies(f"""
    SELECT sign, 'decision' AS part, chosen_id AS deployment_id, decided_at AS moment, {_DECIDING} AS ms
    FROM ({{rows}}) AS signed WHERE request_id IS NOT NULL AND {_TIMED}
""")
ATTEMPT_TIMES = latencies(f"""
    SELECT sign, part, deployment_id, started_at AS moment, ms
    FROM ({{rows}}) AS signed
    CROSS JOIN LATERAL (
        VALUES ('first_token', time_to_first_token_ns::numeric / 1000000), ('upstream', {_DURATION})
    ) AS taken (part, ms)
    WHERE outcome = 'finished' AND ms IS NOT NULL
""")
# each table with its rollups, the columns that these need, and which latencies are its own
WATCHED = {
    "requests": (
        "router_gatewayrequest", (REQUESTS, REQUEST_TIMES), ("total",),
        "surface, state, error_code, cache_hit, background_task, instead_of_id, started_at, finished_at, "
        "cache_saved_gco2e",
    ),
    "decisions": (
        "router_routingdecision", (DECISIONS, ALTERNATIVES, DECISION_TIMES), ("decision",),
        "request_id, category_id, chosen_id, policy, version_id, reason, predicted_quality, predicted_sci_gco2e, "
        "discarded_sci_gco2e, embedding_ms, search_ms, choice_ms, baseline_id, candidates, steps, decided_at",
    ),
    "attempts": (
        "router_upstreamattempt", (ATTEMPTS, ATTEMPT_TIMES), ("first_token", "upstream"),
        "deployment_id, outcome, prompt_token_count, output_token_count, time_to_first_token_ns, started_at, "
        "finished_at",
    ),
}  # fmt: skip
ROLLUPS = {one.name: one for _, rollups, _, _ in WATCHED.values() for one in rollups}
CHANGES = {what: f"router_{what}_changes" for what in WATCHED}
REFERENCING = {
    "INSERT": "NEW TABLE AS new_rows",
    "DELETE": "OLD TABLE AS old_rows",
    "UPDATE": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
}
SIGNED = {"INSERT": ((1, "new_rows"),), "DELETE": ((-1, "old_rows"),), "UPDATE": ((-1, "old_rows"), (1, "new_rows"))}
# of the runs before an answer it only counts that there were none; why they were discarded must not outlive the request
COPIED_STEPS = "CASE WHEN steps = '[]' THEN steps END AS steps"
LOCK = "PERFORM pg_advisory_xact_lock(hashtext('router_fold_hours'));"


def changes_table(what, table, columns):
    return (
        f"CREATE TABLE {CHANGES[what]} AS SELECT 1::smallint AS sign, {columns} FROM {table} WITH NO DATA; "
        f"ALTER TABLE {CHANGES[what]} ADD id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    )


def view(one):
    """Return the statements that put a view in front of a ledger."""
    changed = [
        f"SELECT 0::bigint, false, {one.columns} FROM ({source.differences(f'SELECT * FROM {CHANGES[what]}')}) AS {what}"
        for what, (_, rollups, _, _) in WATCHED.items()
        for source in rollups
        if source.name == one.name
    ]
    began, unfolded = f"{one.name}_began", f"{one.name}_unfolded"
    return (
        f"ALTER TABLE {one.table} RENAME TO {one.ledger}; "
        f"CREATE INDEX {began} ON {one.ledger} (began_at); "
        f"CREATE INDEX {unfolded} ON {one.ledger} (began_at) WHERE NOT is_folded; "
        f"CREATE VIEW {one.table} AS "
        f"SELECT id, is_folded, {one.columns} FROM {one.ledger} UNION ALL {' UNION ALL '.join(changed)}",
        f"DROP VIEW {one.table}; DROP INDEX {began}, {unfolded}; ALTER TABLE {one.ledger} RENAME TO {one.table}",
    )


def changed_function(what, event, rollups, columns):
    """Return a trigger's function: few rows are copied, many summed at once (planned only where that happens)."""
    copied = columns.replace("steps", COPIED_STEPS)
    signed = " UNION ALL ".join(f"SELECT {sign}::smallint AS sign, {copied} FROM {rows}" for sign, rows in SIGNED[event])
    appended = " ".join(f"EXECUTE $q${one.appended(signed)}$q$;" for one in rollups)
    return f"""
CREATE FUNCTION router_{what}_{event.lower()}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) <= {FOLD_EVERY} FROM {SIGNED[event][0][1]}) THEN
        INSERT INTO {CHANGES[what]} (sign, {columns}) {signed};
    ELSE
        {appended}
    END IF;
    RETURN NULL;
END $$
"""


def emptied_function(what, rollups, parts):
    """Return the function that forgets what a table that is emptied was counted as."""
    own = ", ".join(f"'{part}'" for part in parts)
    gone = " ".join(
        f"DELETE FROM {one.ledger}{f' WHERE part IN ({own})' if 'part' in one.key else ''};" for one in rollups
    )
    return f"""
CREATE FUNCTION router_{what}_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {LOCK}
    DELETE FROM {CHANGES[what]};
    {gone}
    RETURN NULL;
END $$
"""


def recount_functions():
    """Return one function for each rollup that counts everything anew."""
    for one in ROLLUPS.values():
        queries = [
            source.differences(f"SELECT 1 AS sign, every_row.* FROM {table} AS every_row")
            for table, rollups, _, _ in WATCHED.values()
            for source in rollups
            if source.name == one.name
        ]
        name = f"router_{one.name}_now"
        yield (
            f"CREATE FUNCTION {name}() RETURNS SETOF {one.table} LANGUAGE sql STABLE AS $$ "
            f"SELECT 0::bigint, false, {one.columns} FROM ({' UNION ALL '.join(queries)}) AS now $$",
            f"DROP FUNCTION {name}()",
        )


def fold_function():
    taken = ", ".join(f"taken_{what} AS (DELETE FROM {changes} RETURNING *)" for what, changes in CHANGES.items())
    appended = ", ".join(
        f"appended_{what}_{place} AS ({one.appended(f'SELECT * FROM taken_{what}')})"
        for what, (_, rollups, _, _) in WATCHED.items()
        for place, one in enumerate(rollups)
    )
    counted = " + ".join(f"(SELECT count(*) FROM taken_{what})" for what in WATCHED)
    return f"""
CREATE FUNCTION router_fold_hours() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    folded bigint;
BEGIN
    {LOCK}
    WITH {taken}, {appended} SELECT {counted} INTO folded;
    RETURN folded + {" + ".join(one.fold() for one in ROLLUPS.values())};
END $$
"""


def triggers():
    for what, (table, rollups, parts, columns) in WATCHED.items():
        for event in (*SIGNED, "TRUNCATE"):
            function, trigger = f"router_{what}_{event.lower()}()", f"hours_{event.lower()}"
            is_emptied = event == "TRUNCATE"
            yield (
                emptied_function(what, rollups, parts) if is_emptied else changed_function(what, event, rollups, columns),
                f"DROP FUNCTION {function}",
            )
            yield (
                f"CREATE TRIGGER {trigger} AFTER {event} ON {table} "
                f"{'' if is_emptied else f'REFERENCING {REFERENCING[event]}'} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {function}",
                f"DROP TRIGGER {trigger} ON {table}",
            )
    for table, when in [(one, "") for one in CHANGES.values()] + [
        (one.ledger, "NOT NEW.is_folded AND") for one in ROLLUPS.values()
    ]:
        yield (
            f"CREATE CONSTRAINT TRIGGER fold AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
            f"WHEN ({when} NEW.id % {FOLD_EVERY} = 0) EXECUTE FUNCTION benchmarks_fold_soon('router_fold_hours')",
            f"DROP TRIGGER fold ON {table}",
        )


MADE = [
    *(
        (changes_table(what, table, columns), f"DROP TABLE {CHANGES[what]}")
        for what, (table, _, _, columns) in WATCHED.items()
    ),
    *(view(one) for one in ROLLUPS.values()),
]
FILL = "; ".join(
    f"INSERT INTO {one.ledger} (is_folded, {one.columns}) SELECT true, {one.columns} FROM router_{one.name}_now()"
    for one in ROLLUPS.values()
)


class Migration(migrations.Migration):

    dependencies = [
        ('benchmarks', '0021_fold_rollups'),
        ('router', '0023_keeping_of_a_key'),
    ]

    operations = [
        migrations.CreateModel(
            name='AlternativeHour',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('is_folded', models.BooleanField(db_default=False, default=False)),
                ('began_at', models.DateTimeField()),
                ('category_id', models.BigIntegerField()),
                ('chosen_id', models.BigIntegerField()),
                ('alternative_id', models.BigIntegerField()),
                ('is_baseline', models.BooleanField(help_text='Whether it was the strong model that the decision noted.')),
                ('quality', models.CharField(max_length=10)),
                ('decision_count', models.BigIntegerField()),
                ('chosen_gco2e', benchmarks.models.rollups.ExactSum()),
                ('alternative_gco2e', benchmarks.models.rollups.ExactSum()),
            ],
        ),
        migrations.CreateModel(
            name='AttemptHour',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('is_folded', models.BooleanField(db_default=False, default=False)),
                ('began_at', models.DateTimeField()),
                ('deployment_id', models.BigIntegerField()),
                ('outcome', models.CharField(max_length=10)),
                ('attempt_count', models.BigIntegerField()),
                ('prompt_counted', models.BigIntegerField(help_text="Attempts whose server told the prompt's tokens.")),
                ('prompt_token_count', models.BigIntegerField()),
                ('output_counted', models.BigIntegerField(help_text="Attempts whose server told the answer's tokens.")),
                ('output_token_count', models.BigIntegerField()),
                ('ended_count', models.BigIntegerField()),
                ('duration_ms', benchmarks.models.rollups.ExactSum()),
            ],
        ),
        migrations.CreateModel(
            name='DecisionHour',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('is_folded', models.BooleanField(db_default=False, default=False)),
                ('began_at', models.DateTimeField()),
                ('category_id', models.BigIntegerField()),
                ('chosen_id', models.BigIntegerField()),
                ('policy', models.CharField(max_length=20)),
                ('version_id', models.BigIntegerField()),
                ('reason', models.CharField(max_length=30)),
                ('quality', models.CharField(max_length=10)),
                ('is_live', models.BooleanField()),
                ('decision_count', models.BigIntegerField()),
                ('predicted_count', models.BigIntegerField()),
                ('predicted_gco2e', benchmarks.models.rollups.ExactSum()),
                ('predicted_gco2e_squared', benchmarks.models.rollups.ExactSum()),
                ('discarded_count', models.BigIntegerField()),
                ('discarded_gco2e', benchmarks.models.rollups.ExactSum()),
                ('timed_count', models.BigIntegerField()),
                ('duration_ms', benchmarks.models.rollups.ExactSum()),
            ],
        ),
        migrations.CreateModel(
            name='LatencyHour',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('is_folded', models.BooleanField(db_default=False, default=False)),
                ('began_at', models.DateTimeField()),
                ('part', models.CharField(choices=[('total', 'The whole request'), ('decision', 'Deciding'), ('first_token', 'First token of the server'), ('upstream', "The server's answer")], max_length=12)),
                ('deployment_id', models.BigIntegerField(help_text='0 for whole requests.')),
                ('bucket', models.SmallIntegerField()),
                ('occurrence_count', models.BigIntegerField()),
                ('duration_ms', benchmarks.models.rollups.ExactSum()),
            ],
        ),
        migrations.CreateModel(
            name='RequestHour',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('is_folded', models.BooleanField(db_default=False, default=False)),
                ('began_at', models.DateTimeField()),
                ('surface', models.CharField(max_length=10)),
                ('state', models.CharField(max_length=10)),
                ('error_code', models.CharField(max_length=60)),
                ('cache_hit', models.CharField(max_length=10)),
                ('is_background', models.BooleanField()),
                ('is_replacement', models.BooleanField(help_text='Whether it stands in for an answer that a person refused.')),
                ('request_count', models.BigIntegerField()),
                ('ended_count', models.BigIntegerField()),
                ('duration_ms', benchmarks.models.rollups.ExactSum()),
                ('cache_saved_count', models.BigIntegerField()),
                ('cache_saved_gco2e', benchmarks.models.rollups.ExactSum()),
            ],
        ),
        # Django knows neither functions nor triggers, and would make a table of what is a view over one.
        *(migrations.RunSQL(made, gone) for made, gone in MADE),
        *(
            migrations.AlterModelOptions(name=name, options={'managed': False})
            for name in ('AlternativeHour', 'AttemptHour', 'DecisionHour', 'LatencyHour', 'RequestHour')
        ),
        *(migrations.RunSQL(made, gone) for made, gone in recount_functions()),
        migrations.RunSQL(fold_function(), "DROP FUNCTION router_fold_hours()"),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        *(migrations.RunSQL(made, gone) for made, gone in triggers()),
    ]
