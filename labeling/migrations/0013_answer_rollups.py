"""Count answers as they change, for pages that must not read a million of them.

Statement-level triggers call `labeling_tally_answers` with the answers that a statement touched. It locks their lines in
`AnswerFact` in the order of their ids, works out anew how each is counted, and appends the differences to `AnswerTally`.
Whoever waited for a line sees, after it, what the one before committed: the lock comes in a statement of its own. What
decides how an answer is counted but is not the answer's own row is held meanwhile: its prompt and measurement as it
begins to point to them, and the graders' switch by an advisory lock, which a new rule takes alone.
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
FOLD = f"""
SELECT benchmarks_fold_rollup('labeling_answertally', 'study_id', string_to_array('{KEY}', ', '),
                              string_to_array('{SUMS}', ', '))
"""
SUMMED = f"""
SELECT {KEY}, sum(sign) AS answer_count, sum(sign * (energy_j IS NOT NULL)::int) AS energy_count,
       coalesce(sum(sign * energy_j::numeric), 0) AS energy_j,
       coalesce(sum(sign * energy_j::numeric * energy_j::numeric), 0) AS energy_j_squared,
       sum(sign * (sci_gco2e IS NOT NULL)::int) AS sci_count,
       coalesce(sum(sign * sci_gco2e::numeric), 0) AS sci_gco2e,
       coalesce(sum(sign * sci_gco2e::numeric * sci_gco2e::numeric), 0) AS sci_gco2e_squared,
       coalesce(sum(sign * time_reserved_s::numeric), 0) AS time_reserved_s,
       coalesce(sum(sign * prompt_token_count), 0) AS prompt_token_count,
       coalesce(sum(sign * output_token_count), 0) AS output_token_count
FROM ({{signed}}) AS signed GROUP BY {KEY}
"""
TALLY = f"""
CREATE FUNCTION labeling_tally_answers(ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    is_long boolean;
BEGIN
    IF ids IS NULL THEN
        RETURN;
    END IF;
    PERFORM FROM labeling_answerfact WHERE response_id = ANY(ids) ORDER BY response_id FOR NO KEY UPDATE;
    WITH fresh AS MATERIALIZED (
        SELECT * FROM labeling_answers_now(ids)
    ), known AS MATERIALIZED (
        SELECT * FROM labeling_answerfact WHERE response_id = ANY(ids)
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
        INSERT INTO labeling_answertally ({KEY}, {SUMS})
        {SUMMED.format(signed="SELECT -1 AS sign, * FROM gone UNION ALL SELECT 1, * FROM come")}
        RETURNING id
    )
    SELECT bool_or(id % {FOLD_EVERY} = 0) INTO is_long FROM appended;
    IF is_long THEN
        PERFORM labeling_fold_answers();
    END IF;
END $$
"""
# for whoever doubts the differences
COUNTED = f"""
CREATE FUNCTION labeling_answer_tally_now() RETURNS SETOF labeling_answertally LANGUAGE sql STABLE AS $$
SELECT 0::bigint, false, {KEY}, {SUMS} FROM (
    {SUMMED.format(signed="SELECT 1 AS sign, * FROM labeling_answerfact")}
) AS counted
$$
"""
HELD = """
        PERFORM FROM benchmarks_prompt WHERE id IN (SELECT prompt_id FROM new_rows) ORDER BY id FOR SHARE;
        PERFORM FROM benchmarks_measurement
        WHERE id IN (SELECT measurement_id FROM new_rows WHERE measurement_id IS NOT NULL) ORDER BY id FOR SHARE;
"""
RESPONSES = f"""
CREATE FUNCTION labeling_responses_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        {HELD}
        SELECT array_agg(id) INTO ids FROM new_rows;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(id) INTO ids FROM old_rows;
    ELSE
        SELECT array_agg(id) INTO ids FROM (
            SELECT id, study_id, deployment_id, prompt_id, parameter_set_id, state, measurement_id, prompt_token_count,
                   output_token_count FROM new_rows
            EXCEPT
            SELECT id, study_id, deployment_id, prompt_id, parameter_set_id, state, measurement_id, prompt_token_count,
                   output_token_count FROM old_rows
        ) AS changed;
        IF ids IS NOT NULL THEN
            {HELD}
        END IF;
    END IF;
    PERFORM labeling_tally_answers(ids);
    RETURN NULL;
END $$
"""
MEASUREMENTS = """
CREATE FUNCTION labeling_measurements_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM labeling_tally_answers(array_agg(response.id)) FROM benchmarks_response AS response
    WHERE response.measurement_id IN (
        SELECT id FROM (
            SELECT id, quality, energy_j, sci_gco2e, time_reserved_s FROM new_rows
            EXCEPT SELECT id, quality, energy_j, sci_gco2e, time_reserved_s FROM old_rows
        ) AS changed
    );
    RETURN NULL;
END $$
"""
PROMPTS = f"""
CREATE FUNCTION labeling_prompts_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT id, category_id, role FROM new_rows EXCEPT SELECT id, category_id, role FROM old_rows) THEN
        PERFORM pg_advisory_xact_lock_shared({GRADERS});
        PERFORM labeling_tally_answers(array_agg(response.id)) FROM benchmarks_response AS response
        WHERE response.prompt_id IN (
            SELECT id FROM (
                SELECT id, category_id, role FROM new_rows EXCEPT SELECT id, category_id, role FROM old_rows
            ) AS changed
        );
    END IF;
    RETURN NULL;
END $$
"""
LABELS = f"""
CREATE FUNCTION labeling_labels_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[];
    has_graders boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(DISTINCT response_id), bool_or(source = 'grader') INTO ids, has_graders FROM new_rows;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(DISTINCT response_id), bool_or(source = 'grader') INTO ids, has_graders FROM old_rows;
    ELSE
        SELECT array_agg(DISTINCT response_id), bool_or(source = 'grader') INTO ids, has_graders
        FROM (SELECT response_id, source FROM old_rows UNION SELECT response_id, source FROM new_rows) AS touched;
    END IF;
    IF has_graders THEN
        PERFORM pg_advisory_xact_lock_shared({GRADERS});
    END IF;
    PERFORM labeling_tally_answers(ids);
    RETURN NULL;
END $$
"""
RULES = f"""
CREATE FUNCTION labeling_rules_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(DISTINCT category_id) INTO ids FROM new_rows WHERE category_id IS NOT NULL;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(DISTINCT category_id) INTO ids FROM old_rows WHERE category_id IS NOT NULL;
    ELSE
        SELECT array_agg(DISTINCT category_id) INTO ids
        FROM (SELECT category_id FROM old_rows UNION SELECT category_id FROM new_rows) AS touched
        WHERE category_id IS NOT NULL;
    END IF;
    IF ids IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock({GRADERS});
        PERFORM labeling_tally_answers(array_agg(DISTINCT label.response_id)) FROM labeling_label AS label
        JOIN benchmarks_response AS response ON response.id = label.response_id
        JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
        WHERE label.source = 'grader' AND prompt.category_id = ANY(ids);
    END IF;
    RETURN NULL;
END $$
"""
ROWS = {
    "INSERT": "NEW TABLE AS new_rows",
    "DELETE": "OLD TABLE AS old_rows",
    "UPDATE": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
}
WATCHED = {
    "benchmarks_response": ("responses", "INSERT UPDATE DELETE"),
    "benchmarks_measurement": ("measurements", "UPDATE"),
    "benchmarks_prompt": ("prompts", "UPDATE"),
    "labeling_label": ("labels", "INSERT UPDATE DELETE"),
    "labeling_judgementrule": ("rules", "INSERT UPDATE DELETE"),
}
TRIGGERS = [
    (
        f"CREATE TRIGGER answer_tally_{event.lower()} AFTER {event} ON {table} REFERENCING {ROWS[event]} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION labeling_{what}_changed()",
        f"DROP TRIGGER answer_tally_{event.lower()} ON {table}",
    )
    for table, (what, events) in WATCHED.items()
    for event in events.split()
]
# what is there already, some thousand answers at a time
FILL = """
DO $$
DECLARE
    ids bigint[];
    latest bigint := 0;
BEGIN
    LOOP
        SELECT array_agg(id ORDER BY id) INTO ids FROM (
            SELECT id FROM benchmarks_response WHERE id > latest ORDER BY id LIMIT 20000
        ) AS part;
        EXIT WHEN ids IS NULL;
        PERFORM labeling_tally_answers(ids);
        latest := ids[cardinality(ids)];
    END LOOP;
    PERFORM labeling_fold_answers();
END $$
"""
FUNCTIONS = [
    (NOW, "labeling_answers_now(bigint[])"),
    (
        f"CREATE FUNCTION labeling_fold_answers() RETURNS bigint LANGUAGE sql AS $${FOLD}$$",
        "labeling_fold_answers()",
    ),
    (TALLY, "labeling_tally_answers(bigint[])"),
    (COUNTED, "labeling_answer_tally_now()"),
    (RESPONSES, "labeling_responses_changed()"),
    (MEASUREMENTS, "labeling_measurements_changed()"),
    (PROMPTS, "labeling_prompts_changed()"),
    (LABELS, "labeling_labels_changed()"),
    (RULES, "labeling_rules_changed()"),
]


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
            options={
                'indexes': [models.Index(fields=['study_id'], name='answer_tally_study'), models.Index(condition=models.Q(('is_folded', False)), fields=['study_id'], name='answer_tally_unfolded')],
            },
        ),
        # Django knows neither functions nor triggers.
        *(migrations.RunSQL(made, f"DROP FUNCTION {name}") for made, name in FUNCTIONS),
        *(migrations.RunSQL(made, gone) for made, gone in TRIGGERS),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
