"""Count answers as they change, for pages that must not read a million of them.

Statement-level triggers note in `labeling_answermark` which answers a statement touched, and nothing else: a vote must
not wait for sums. `labeling_answertally` is a view: what is in the ledger, less how marked answers are counted there
(`AnswerFact`), plus how they count now. Whoever commits every 500th mark folds them: works out the answers anew, and
appends the differences to the ledger. One folds at a time, in one statement, so that it takes the marks of exactly the
changes that it sees. `labeling_currentanswer` is how each answer counts at present.

A change marks every answer that it concerns and sees. What it does not see yet points to what it changes: that is held
until whoever points there ends, the prompt and measurement of an answer as it begins to point to them, and the graders'
switch by an advisory lock, which a new rule takes alone.
"""

import benchmarks.models.rollups
from django.db import migrations, models

KEY = "study_id, deployment_id, category_id, role, parameter_set_id, state, quality, verdict, verdict_source"
FIGURES = "energy_j, sci_gco2e, time_reserved_s, prompt_token_count, output_token_count"
SUMS = (
    "answer_count, energy_count, energy_j, energy_j_squared, sci_count, sci_gco2e, sci_gco2e_squared, time_reserved_s, "
    "prompt_token_count, output_token_count"
)
FOLD_EVERY = 500
GRADERS = "hashtext('greenllm:graders-switch')"

# the rule of labeling.verdicts.decide; a test holds the two together
NOW = f"""
CREATE FUNCTION labeling_answers_now(ids bigint[]) RETURNS SETOF labeling_answerfact LANGUAGE sql STABLE AS $$
SELECT response.study_id, response.deployment_id, prompt.category_id, prompt.role::varchar(10),
       response.parameter_set_id, response.state::varchar(10), coalesce(measurement.quality, '')::varchar(10),
       coalesce(judged.verdict, '')::varchar(10), coalesce(judged.source, '')::varchar(10), response.id,
       measurement.energy_j, measurement.sci_gco2e, measurement.time_reserved_s,
       response.prompt_token_count::bigint, response.output_token_count::bigint
FROM benchmarks_response AS response
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
LEFT JOIN benchmarks_measurement AS measurement ON measurement.id = response.measurement_id
LEFT JOIN LATERAL (
    SELECT said.source, CASE sign(CASE WHEN said.is_settled THEN said.settlement ELSE said.margin END)
               WHEN 1 THEN 'correct' WHEN -1 THEN 'incorrect' ELSE 'disputed' END AS verdict
    FROM (
        SELECT given.source, sum(given.vote) AS margin, count(*) FILTER (WHERE given.vote <> 0) AS votes,
               sum(given.vote) FILTER (WHERE given.kind = 'adjudication') AS settlement,
               bool_or(given.kind = 'adjudication') AS is_settled
        FROM (
            SELECT source, kind, CASE verdict WHEN 'correct' THEN 1 WHEN 'incorrect' THEN -1 ELSE 0 END AS vote
            FROM labeling_label AS label
            WHERE label.response_id = response.id AND is_current AND voided_at IS NULL AND kind <> 'self_check'
        ) AS given
        GROUP BY given.source
    ) AS said
    WHERE (said.is_settled OR said.votes > 0) AND (said.source <> 'grader' OR coalesce((
        SELECT rule.grades_count FROM labeling_judgementrule AS rule
        WHERE rule.category_id = prompt.category_id ORDER BY rule.id DESC LIMIT 1
    ), false))
    ORDER BY CASE said.source WHEN 'person' THEN 1 WHEN 'imported' THEN 2 ELSE 3 END LIMIT 1
) AS judged ON true
WHERE response.id = ANY(ids)
$$
"""
SUMMED = f"""
SELECT {KEY}, sum(sign) AS answer_count, sum(sign * (energy_j IS NOT NULL)::int) AS energy_count,
       coalesce(sum(sign * energy_j::numeric), 0) AS energy_j,
       coalesce(sum(sign * energy_j::numeric * energy_j::numeric), 0) AS energy_j_squared,
       sum(sign * (sci_gco2e IS NOT NULL)::int) AS sci_count,
       coalesce(sum(sign * sci_gco2e::numeric), 0) AS sci_gco2e,
       coalesce(sum(sign * sci_gco2e::numeric * sci_gco2e::numeric), 0) AS sci_gco2e_squared,
       coalesce(sum(sign * time_reserved_s::numeric), 0) AS time_reserved_s,
       coalesce(sum(sign * prompt_token_count), 0)::bigint AS prompt_token_count,
       coalesce(sum(sign * output_token_count), 0)::bigint AS output_token_count
FROM ({{signed}}) AS signed GROUP BY {KEY}
"""
MARKS = """
CREATE TABLE labeling_answermark (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    response_id bigint NOT NULL
)
"""
# a function that is not taken apart has the same plan whatever the planner believes about the number of marks
MARKED = "ARRAY(SELECT DISTINCT response_id FROM labeling_answermark)"
FRESH = f"""
SELECT 1 AS sign, fresh.* FROM labeling_answers_now({MARKED}) AS fresh
WHERE EXISTS (SELECT FROM labeling_answermark)
"""
KNOWN = "SELECT {sign} AS sign, known.* FROM labeling_answerfact AS known WHERE {which}"
CHANGE = SUMMED.format(signed=f"{KNOWN.format(sign=-1, which=f'response_id = ANY({MARKED})')} UNION ALL {FRESH}")
UNMARKED = KNOWN.format(sign=1, which="response_id NOT IN (SELECT response_id FROM labeling_answermark)")
# for joins: a parameter for the index where a join to the marks would have every answer read
CURRENT = f"""
CREATE VIEW labeling_currentanswer AS
SELECT known.* FROM labeling_answerfact AS known WHERE response_id <> ALL ({MARKED})
UNION ALL
SELECT fresh.* FROM labeling_answers_now({MARKED}) AS fresh WHERE EXISTS (SELECT FROM labeling_answermark)
"""
LEDGER = f"""
ALTER TABLE labeling_answertally RENAME TO labeling_answertally_ledger;
CREATE INDEX answer_tally_study ON labeling_answertally_ledger (study_id);
CREATE INDEX answer_tally_unfolded ON labeling_answertally_ledger (study_id) WHERE NOT is_folded;
CREATE VIEW labeling_answertally AS
SELECT id, is_folded, {KEY}, {SUMS} FROM labeling_answertally_ledger
UNION ALL
SELECT 0::bigint, false, {KEY}, {SUMS} FROM ({CHANGE}) AS changed
"""
LEDGER_BACK = """
DROP VIEW labeling_answertally;
DROP INDEX answer_tally_study, answer_tally_unfolded;
ALTER TABLE labeling_answertally_ledger RENAME TO labeling_answertally
"""
FOLD = f"""
CREATE FUNCTION labeling_fold_answers() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    folded bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('labeling_fold_answers'));
    -- one statement, and so one moment: the marks taken are those of the changes seen
    WITH taken AS (
        DELETE FROM labeling_answermark RETURNING response_id
    ), marked AS MATERIALIZED (
        SELECT array_agg(DISTINCT response_id) AS ids FROM taken
    ), fresh AS MATERIALIZED (
        SELECT now.* FROM marked CROSS JOIN LATERAL labeling_answers_now(marked.ids) AS now
    ), known AS MATERIALIZED (
        SELECT * FROM labeling_answerfact WHERE response_id = ANY((SELECT ids FROM marked)::bigint[])
    ), gone AS MATERIALIZED (
        SELECT * FROM known EXCEPT SELECT * FROM fresh
    ), come AS MATERIALIZED (
        SELECT * FROM fresh EXCEPT SELECT * FROM known
    ), removed AS (
        DELETE FROM labeling_answerfact
        WHERE response_id IN (SELECT response_id FROM gone EXCEPT SELECT response_id FROM come)
    ), put AS (
        INSERT INTO labeling_answerfact (response_id, {KEY}, {FIGURES})
        SELECT response_id, {KEY}, {FIGURES} FROM come
        ON CONFLICT (response_id) DO UPDATE SET ({KEY}, {FIGURES}) = ROW (
            {", ".join("excluded." + one for one in f"{KEY}, {FIGURES}".split(", "))}
        )
    ), appended AS (
        INSERT INTO labeling_answertally_ledger ({KEY}, {SUMS})
        {SUMMED.format(signed="SELECT -1 AS sign, * FROM gone UNION ALL SELECT 1, * FROM come")}
    )
    SELECT count(*) INTO folded FROM taken;
    RETURN folded + benchmarks_fold_rollup('labeling_answertally_ledger', 'study_id', string_to_array('{KEY}', ', '),
                                           string_to_array('{SUMS}', ', '));
END $$
"""
# for whoever doubts the ledger: what is known of each answer, and anew what has changed since
COUNTED = f"""
CREATE FUNCTION labeling_answer_tally_now() RETURNS SETOF labeling_answertally LANGUAGE sql STABLE AS $$
SELECT 0::bigint, false, {KEY}, {SUMS} FROM ({SUMMED.format(signed=f"{UNMARKED} UNION ALL {FRESH}")}) AS counted
$$
"""
# rows of an update that differ in what counts; compared by hash, whatever the number of rows that the plan was made for
CHANGED = "(SELECT id, {columns} FROM new_rows EXCEPT SELECT id, {columns} FROM old_rows) AS changed"
HELD = """
    PERFORM FROM benchmarks_{table} WHERE id IN (SELECT {table}_id FROM {rows} WHERE {table}_id IS NOT NULL)
    ORDER BY id FOR SHARE;
"""
HOLD_NEW, HOLD_CHANGED = (
    "".join(HELD.format(table=one, rows=rows.format(columns=f"{one}_id")) for one in ("prompt", "measurement"))
    for rows in ("new_rows", CHANGED)
)
MARK = "INSERT INTO labeling_answermark (response_id) SELECT {response} FROM {rows};"
MARK_NEW, MARK_OLD = (MARK.format(response="id", rows=rows) for rows in ("new_rows", "old_rows"))
ANSWER = (
    "study_id, deployment_id, prompt_id, parameter_set_id, state, measurement_id, prompt_token_count, output_token_count"
)
MARK_CHANGED = MARK.format(response="id", rows=CHANGED.format(columns=ANSWER))
MEASURED = "quality, energy_j, sci_gco2e, time_reserved_s"
POINTING = "benchmarks_response AS response WHERE response.{what}_id IN (SELECT id FROM {rows})"
MARK_MEASURED = MARK.format(
    response="response.id", rows=POINTING.format(what="measurement", rows=CHANGED.format(columns=MEASURED))
)
HOLD_GRADERS = f"PERFORM pg_advisory_xact_lock_shared({GRADERS})"
PROMPTS = CHANGED.format(columns="category_id, role")
MARK_PROMPTED = f"""
    IF EXISTS (SELECT FROM {PROMPTS}) THEN
        {HOLD_GRADERS};
        {MARK.format(response="response.id", rows=POINTING.format(what="prompt", rows=PROMPTS))}
    END IF;
"""


def mark_labeled(*tables):
    """Return the statements that mark the answers of labels; nobody turns a switch of graders meanwhile."""
    return "".join(
        f"{HOLD_GRADERS} FROM {one} WHERE source = 'grader' LIMIT 1; {MARK.format(response='response_id', rows=one)}"
        for one in tables
    )


def mark_ruled(*tables):
    """Return the statements that mark what graders judged in the categories of rules."""
    ids = " UNION ".join(f"SELECT category_id FROM {one}" for one in tables)
    return f"""
    IF EXISTS (SELECT FROM ({ids}) AS ruled WHERE category_id IS NOT NULL) THEN
        PERFORM pg_advisory_xact_lock({GRADERS});
        INSERT INTO labeling_answermark (response_id)
        SELECT label.response_id FROM labeling_label AS label
        JOIN benchmarks_response AS response ON response.id = label.response_id
        JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
        WHERE label.source = 'grader' AND prompt.category_id IN ({ids});
    END IF;
"""


def mark_judged(by):
    """Return the statement that marks what is counted as judged; what is not counted so far is marked already."""
    return MARK.format(response="response_id", rows=f"labeling_answerfact WHERE {by}")


FORGET = """
    PERFORM pg_advisory_xact_lock(hashtext('labeling_fold_answers'));
    DELETE FROM labeling_answermark;
    DELETE FROM labeling_answerfact;
    DELETE FROM labeling_answertally_ledger;
"""
REFERENCING = {
    "INSERT": "REFERENCING NEW TABLE AS new_rows",
    "DELETE": "REFERENCING OLD TABLE AS old_rows",
    "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "TRUNCATE": "",
}
WATCHED = {
    "benchmarks_response": {
        "INSERT": HOLD_NEW + MARK_NEW, "UPDATE": HOLD_CHANGED + MARK_CHANGED, "DELETE": MARK_OLD, "TRUNCATE": FORGET,
    },
    "benchmarks_measurement": {"UPDATE": MARK_MEASURED},
    "benchmarks_prompt": {"UPDATE": MARK_PROMPTED},
    "labeling_label": {
        "INSERT": mark_labeled("new_rows"), "UPDATE": mark_labeled("old_rows", "new_rows"),
        "DELETE": mark_labeled("old_rows"), "TRUNCATE": mark_judged("verdict <> ''"),
    },
    "labeling_judgementrule": {
        "INSERT": mark_ruled("new_rows"), "UPDATE": mark_ruled("old_rows", "new_rows"),
        "DELETE": mark_ruled("old_rows"), "TRUNCATE": mark_judged("verdict_source = 'grader'"),
    },
}  # fmt: skip


def watching():
    """Return each trigger's function and the trigger, with what takes them away."""
    for table, events in WATCHED.items():
        for event, marks in events.items():
            trigger, function = f"answer_tally_{event.lower()}", f"{table}_marks_{event.lower()}"
            yield (
                f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN {marks} RETURN NULL; END $$",
                f"DROP FUNCTION {function}()",
            )
            yield (
                f"CREATE TRIGGER {trigger} AFTER {event} ON {table} {REFERENCING[event]} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
                f"DROP TRIGGER {trigger} ON {table}",
            )


FOLDING = [
    (
        f"CREATE CONSTRAINT TRIGGER fold AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
        f"WHEN ({when} NEW.id % {FOLD_EVERY} = 0) EXECUTE FUNCTION benchmarks_fold_soon('labeling_fold_answers')",
        f"DROP TRIGGER fold ON {table}",
    )
    for table, when in (("labeling_answermark", ""), ("labeling_answertally_ledger", "NOT NEW.is_folded AND"))
]
# what is there already, some thousand answers at a time
FILL = """
DO $$
DECLARE
    latest bigint := 0;
    next bigint;
BEGIN
    LOOP
        WITH marked AS (
            INSERT INTO labeling_answermark (response_id)
            SELECT id FROM benchmarks_response WHERE id > latest ORDER BY id LIMIT 20000 RETURNING response_id
        )
        SELECT max(response_id) INTO next FROM marked;
        EXIT WHEN next IS NULL;
        PERFORM labeling_fold_answers();
        latest := next;
    END LOOP;
END $$
"""


class Migration(migrations.Migration):

    dependencies = [
        ('benchmarks', '0021_fold_rollups'),
        ('labeling', '0012_find_voided_labels'),
    ]

    operations = [
        migrations.CreateModel(
            name='AnswerFact',
            fields=[
                ('study_id', models.BigIntegerField()),
                ('deployment_id', models.BigIntegerField()),
                ('category_id', models.BigIntegerField()),
                ('role', models.CharField(help_text='Of the prompt.', max_length=10)),
                ('parameter_set_id', models.BigIntegerField()),
                ('state', models.CharField(max_length=10)),
                ('quality', models.CharField(help_text='Of the energy; empty: there is no measurement.', max_length=10)),
                ('verdict', models.CharField(max_length=10)),
                ('verdict_source', models.CharField(help_text="Whose word decided; empty: nobody's.", max_length=10)),
                ('response_id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('energy_j', models.FloatField(null=True)),
                ('sci_gco2e', models.FloatField(null=True)),
                ('time_reserved_s', models.FloatField(null=True)),
                ('prompt_token_count', models.BigIntegerField(null=True)),
                ('output_token_count', models.BigIntegerField(null=True)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='CurrentAnswer',
            fields=[
                ('study_id', models.BigIntegerField()),
                ('deployment_id', models.BigIntegerField()),
                ('category_id', models.BigIntegerField()),
                ('role', models.CharField(help_text='Of the prompt.', max_length=10)),
                ('parameter_set_id', models.BigIntegerField()),
                ('state', models.CharField(max_length=10)),
                ('quality', models.CharField(help_text='Of the energy; empty: there is no measurement.', max_length=10)),
                ('verdict', models.CharField(max_length=10)),
                ('verdict_source', models.CharField(help_text="Whose word decided; empty: nobody's.", max_length=10)),
                ('response_id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('energy_j', models.FloatField(null=True)),
                ('sci_gco2e', models.FloatField(null=True)),
                ('time_reserved_s', models.FloatField(null=True)),
                ('prompt_token_count', models.BigIntegerField(null=True)),
                ('output_token_count', models.BigIntegerField(null=True)),
            ],
            options={
                'abstract': False,
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='AnswerTally',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('is_folded', models.BooleanField(db_default=False, default=False)),
                ('study_id', models.BigIntegerField()),
                ('deployment_id', models.BigIntegerField()),
                ('category_id', models.BigIntegerField()),
                ('role', models.CharField(help_text='Of the prompt.', max_length=10)),
                ('parameter_set_id', models.BigIntegerField()),
                ('state', models.CharField(max_length=10)),
                ('quality', models.CharField(help_text='Of the energy; empty: there is no measurement.', max_length=10)),
                ('verdict', models.CharField(max_length=10)),
                ('verdict_source', models.CharField(help_text="Whose word decided; empty: nobody's.", max_length=10)),
                ('answer_count', models.BigIntegerField()),
                ('energy_count', models.BigIntegerField(help_text='Answers that have an energy.')),
                ('energy_j', benchmarks.models.rollups.ExactSum()),
                ('energy_j_squared', benchmarks.models.rollups.ExactSum()),
                ('sci_count', models.BigIntegerField(help_text='Answers that have an SCI.')),
                ('sci_gco2e', benchmarks.models.rollups.ExactSum()),
                ('sci_gco2e_squared', benchmarks.models.rollups.ExactSum()),
                ('time_reserved_s', benchmarks.models.rollups.ExactSum()),
                ('prompt_token_count', models.BigIntegerField()),
                ('output_token_count', models.BigIntegerField()),
            ],
        ),
        # Django knows neither functions nor triggers, and would make a table of what is a view over one.
        migrations.RunSQL(NOW, "DROP FUNCTION labeling_answers_now(bigint[])"),
        migrations.RunSQL(MARKS, "DROP TABLE labeling_answermark"),
        migrations.RunSQL(CURRENT, "DROP VIEW labeling_currentanswer"),
        migrations.RunSQL(LEDGER, LEDGER_BACK),
        migrations.AlterModelOptions(name='AnswerTally', options={'managed': False}),
        migrations.RunSQL(FOLD, "DROP FUNCTION labeling_fold_answers()"),
        migrations.RunSQL(COUNTED, "DROP FUNCTION labeling_answer_tally_now()"),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        *(migrations.RunSQL(made, gone) for made, gone in (*watching(), *FOLDING)),
    ]
