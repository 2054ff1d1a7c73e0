"""Let whoever keeps a figure in memory tell whether anything that it rests on has changed since.

Every change of an answer is marked already (0013_answer_rollups), so that the state of all answers, or of a study's, is:
the stamp of the latest fold that took marks of it, and the marks that came since. A stamp is drawn anew by each fold
and the number of a mark is never used twice, also not after a rollback, so that equal states mean equal rows. What
figures read beside answers (grades, gold answers, flags, rules, names) notes its changes in `labeling_sourcechange`, a row a
statement, which folds stamp and take as well. Nothing is written for a label or an answer that was not written before.

What marks an answer is widened to all that figures of a study read of it.
"""

from importlib import import_module

from django.db import migrations

BEFORE = import_module("labeling.migrations.0013_answer_rollups")

STAMPS = """
CREATE TABLE labeling_changestamp (
    scope bigint PRIMARY KEY,
    stamp uuid NOT NULL DEFAULT gen_random_uuid()
);
COMMENT ON COLUMN labeling_changestamp.scope IS 'a study; 0: all answers; -1: what labeling_sourcechange notes';
CREATE TABLE labeling_sourcechange (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)
"""
STAMPED = """
    ), taken_sources AS (
        DELETE FROM labeling_sourcechange RETURNING id
    ), stamped AS (
        INSERT INTO labeling_changestamp (scope)
        SELECT study_id FROM known UNION SELECT study_id FROM fresh
        UNION SELECT 0 WHERE EXISTS (SELECT FROM taken)
        UNION SELECT -1 WHERE EXISTS (SELECT FROM taken_sources)
        ON CONFLICT (scope) DO UPDATE SET stamp = gen_random_uuid()
    )
    SELECT count(*) INTO folded FROM taken;
"""
NOT_STAMPED = """
    )
    SELECT count(*) INTO folded FROM taken;
"""
FOLD_BEFORE = BEFORE.FOLD.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
FOLD = FOLD_BEFORE.replace(NOT_STAMPED, STAMPED)
FORGET = f"{BEFORE.FORGET} DELETE FROM labeling_changestamp; INSERT INTO labeling_changestamp (scope) VALUES (0), (-1);"

MEASURED = (
    f"{BEFORE.MEASURED}, net_energy_j, resource_share, machine_id, carbon_intensity_gco2e_per_kwh, "
    "carbon_intensity_source, total_embodied_emissions_gco2e, expected_lifespan_s, boundary, method_version"
)
PROMPTED = "category_id, role, dataset_id, external_id, position"
# each trigger's function, what it does from now on, and what it did
REPLACED = {
    "benchmarks_measurement_marks_update": (
        BEFORE.MARK_MEASURED.replace(BEFORE.MEASURED, MEASURED), BEFORE.MARK_MEASURED,
    ),
    "benchmarks_prompt_marks_update": (
        BEFORE.MARK_PROMPTED.replace("id, category_id, role FROM", f"id, {PROMPTED} FROM"), BEFORE.MARK_PROMPTED,
    ),
    "benchmarks_response_marks_update": (
        BEFORE.HOLD_CHANGED + BEFORE.MARK_CHANGED.replace(BEFORE.ANSWER, f"{BEFORE.ANSWER}, repeat"),
        BEFORE.HOLD_CHANGED + BEFORE.MARK_CHANGED,
    ),
    "benchmarks_response_marks_truncate": (FORGET, BEFORE.FORGET),
}  # fmt: skip
# what figures read of each table; where they depend on which rows there are, whatever touches the table is a change
NAMES = {
    "benchmarks_category": "name", "benchmarks_languagemodel": "name, family", "benchmarks_machine": "name",
    "benchmarks_dataset": "name", "benchmarks_parameterset": "name", "benchmarks_inferenceserver": "name",
    "benchmarks_deployment": "language_model_id, server_id",
}  # fmt: skip
ROWS = (
    "labeling_grade", "labeling_goldanswer", "labeling_flag", "labeling_judgementrule", "benchmarks_studydeployment",
)  # fmt: skip
NOTED = """
CREATE FUNCTION labeling_note_source() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO labeling_sourcechange DEFAULT VALUES;
    RETURN NULL;
END $$
"""
RENAMED = """
CREATE FUNCTION {table}_source() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT id, {columns} FROM new_rows EXCEPT SELECT id, {columns} FROM old_rows) THEN
        INSERT INTO labeling_sourcechange DEFAULT VALUES;
    END IF;
    RETURN NULL;
END $$
"""


def replaced(body):
    for function, bodies in REPLACED.items():
        yield (
            f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {bodies[body]} RETURN NULL; END $$"
        )


def noted():
    """Return what notes changes of sources, each with what takes it away."""
    yield NOTED, "DROP FUNCTION labeling_note_source()"
    for table in ROWS:
        yield (
            f"CREATE TRIGGER source_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION labeling_note_source()",
            f"DROP TRIGGER source_changed ON {table}",
        )
    for table, columns in NAMES.items():
        yield RENAMED.format(table=table, columns=columns), f"DROP FUNCTION {table}_source()"
        yield (
            f"CREATE TRIGGER source_changed AFTER UPDATE ON {table} {BEFORE.REFERENCING['UPDATE']} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_source()",
            f"DROP TRIGGER source_changed ON {table}",
        )
    yield (
        "CREATE CONSTRAINT TRIGGER fold AFTER INSERT ON labeling_sourcechange DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
        f"WHEN (NEW.id % {BEFORE.FOLD_EVERY} = 0) EXECUTE FUNCTION benchmarks_fold_soon('labeling_fold_answers')",
        "DROP TRIGGER fold ON labeling_sourcechange",
    )


class Migration(migrations.Migration):

    dependencies = [
        ('benchmarks', '0023_index_for_quality'),
        ('labeling', '0015_index_for_quality'),
    ]

    operations = [
        # Django knows neither functions nor triggers, and no model reads these tables.
        migrations.RunSQL(STAMPS, "DROP TABLE labeling_changestamp, labeling_sourcechange"),
        migrations.RunSQL(FOLD, FOLD_BEFORE),
        *(migrations.RunSQL(now, then) for now, then in zip(replaced(0), replaced(1), strict=True)),
        *(migrations.RunSQL(made, gone) for made, gone in noted()),
    ]
