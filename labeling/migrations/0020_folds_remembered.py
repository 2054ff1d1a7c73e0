"""Let whoever keeps a figure in memory tell which answers changed since, also after folds took the marks that say it.

Each fold has a row in `labeling_fold`: the marks that it took, and in which cells (study, deployment, category) their
answers were counted and are. Only the latest folds are kept, and of a fold of many marks only that there was one: who has
not looked for longer works everything out anew.

What leaves no trace of where it was (an answer that is deleted, goes to another study, deployment or prompt, a prompt that
goes to another category, a label or a grade that becomes another's or another answer's) is noted as a change of a source,
after which everything is worked out anew. Grades come with every answer that a grader looks at: from now on they mark
these answers, and no longer count as a change of everything.
"""

from importlib import import_module

from django.db import migrations

TALLY = import_module("labeling.migrations.0013_answer_rollups")
FIGURES = import_module("labeling.migrations.0016_changes_of_figures")
BEFORE = import_module("labeling.migrations.0017_changes_of_judged_answers")

KEPT_FOLDS = 50
MOST_MARKS = 2000  # of a fold whose marks are remembered
FOLDS = """
CREATE TABLE labeling_fold (
    number bigint PRIMARY KEY,
    stamp uuid NOT NULL DEFAULT gen_random_uuid(),
    marks jsonb,
    cells jsonb
);
COMMENT ON COLUMN labeling_fold.number IS 'without gaps: whoever folds next adds one';
COMMENT ON COLUMN labeling_fold.stamp IS 'the number may come again after a rollback, the stamp does not';
COMMENT ON COLUMN labeling_fold.marks IS '[id, response_id] of each; null: too many to tell';
COMMENT ON COLUMN labeling_fold.cells IS '[response_id, study_id, deployment_id, category_id], before and after'
"""
TAKEN = "DELETE FROM labeling_answermark RETURNING response_id"
COUNTED = "SELECT count(*) INTO folded FROM taken;"
REMEMBERED = f"""
    , latest AS (
        SELECT coalesce(max(number), 0) AS number FROM labeling_fold
    ), counted AS (
        SELECT count(*) AS marks FROM taken
    ), forgotten AS (
        DELETE FROM labeling_fold USING latest WHERE labeling_fold.number <= latest.number - {KEPT_FOLDS}
    ), remembered AS (
        INSERT INTO labeling_fold (number, marks, cells)
        SELECT latest.number + 1,
               CASE WHEN counted.marks <= {MOST_MARKS} THEN
                   (SELECT jsonb_agg(jsonb_build_array(id, response_id)) FROM taken)
               END,
               CASE WHEN counted.marks <= {MOST_MARKS} THEN (
                   SELECT coalesce(jsonb_agg(jsonb_build_array(response_id, study_id, deployment_id, category_id)), '[]')
                   FROM (
                       SELECT response_id, study_id, deployment_id, category_id FROM known
                       UNION SELECT response_id, study_id, deployment_id, category_id FROM fresh
                   ) AS either
               ) END
        FROM latest, counted WHERE counted.marks > 0
    )
    {COUNTED}
"""
FOLD = BEFORE.FOLD.replace(TAKEN, TAKEN.replace("response_id", "id, response_id"))
FOLD = FOLD.replace(f")\n    {COUNTED}", f"){REMEMBERED}")

NOTE_IF = """
    IF EXISTS (SELECT id, {columns} FROM new_rows EXCEPT SELECT id, {columns} FROM old_rows) THEN
        INSERT INTO labeling_sourcechange DEFAULT VALUES;
    END IF;
"""
NOTE = "INSERT INTO labeling_sourcechange DEFAULT VALUES;"
NOW_ANSWER, NOW_PROMPT = (
    FIGURES.REPLACED[f"benchmarks_{table}_marks_update"][0] for table in ("response", "prompt")
)
LABELED = TALLY.WATCHED["labeling_label"]["UPDATE"]
# each trigger's function, what it does from now on, and what it did
REPLACED = {
    "benchmarks_response_marks_update": (
        NOW_ANSWER + NOTE_IF.format(columns="study_id, deployment_id, prompt_id"), NOW_ANSWER,
    ),
    "benchmarks_response_marks_delete": (
        f"{TALLY.MARK_OLD} IF EXISTS (SELECT FROM old_rows) THEN {NOTE} END IF;", TALLY.MARK_OLD,
    ),
    "benchmarks_prompt_marks_update": (NOW_PROMPT + NOTE_IF.format(columns="category_id"), NOW_PROMPT),
    "labeling_label_marks_update": (LABELED + NOTE_IF.format(columns="response_id, labeler_id, created_at"), LABELED),
}  # fmt: skip
GRADED = {
    "INSERT": ("INSERT", TALLY.MARK.format(response="response_id", rows="new_rows")),
    "UPDATE": (
        "UPDATE",
        TALLY.MARK.format(response="response_id", rows="new_rows")
        + NOTE_IF.format(columns="response_id, grader, grader_version"),
    ),
}  # fmt: skip
NOTED_BEFORE = (
    "CREATE TRIGGER source_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON labeling_grade "
    "FOR EACH STATEMENT EXECUTE FUNCTION labeling_note_source()"
)
NOTED = NOTED_BEFORE.replace("INSERT OR UPDATE OR DELETE", "DELETE")
NOT_NOTED = "DROP TRIGGER source_changed ON labeling_grade"


def replaced(which):
    for function, bodies in REPLACED.items():
        yield (
            f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {bodies[which]} RETURN NULL; END $$"
        )


def graded():
    """Return what marks graded answers, each with what takes it away."""
    for event, (name, marks) in GRADED.items():
        function = f"labeling_grade_marks_{name.lower()}"
        yield (
            f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {marks} RETURN NULL; END $$",
            f"DROP FUNCTION {function}()",
        )
        yield (
            f"CREATE TRIGGER answer_tally_{name.lower()} AFTER {event} ON labeling_grade {TALLY.REFERENCING[event]} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
            f"DROP TRIGGER answer_tally_{name.lower()} ON labeling_grade",
        )


class Migration(migrations.Migration):

    dependencies = [
        ('labeling', '0019_responses_in_order_of_figures'),
    ]

    operations = [
        # Django knows neither functions nor triggers, and no model reads this table.
        migrations.RunSQL(FOLDS, "DROP TABLE labeling_fold"),
        migrations.RunSQL(FOLD, BEFORE.FOLD),
        *(migrations.RunSQL(now, then) for now, then in zip(replaced(0), replaced(1), strict=True)),
        migrations.RunSQL(f"{NOT_NOTED}; {NOTED}", f"{NOT_NOTED}; {NOTED_BEFORE}"),
        *(migrations.RunSQL(made, gone) for made, gone in graded()),
    ]
