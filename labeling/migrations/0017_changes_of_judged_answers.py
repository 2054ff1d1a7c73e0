"""Let figures of labels tell answers that somebody judged, or a grader looked at, from all others.

While models answer, answers come all the time; what people and graders said does not change with them. A label that is
deleted leaves none behind by which its mark would be found, so that deleting labels is noted as a change of a source.
"""

from importlib import import_module

from django.db import migrations

BEFORE = import_module("labeling.migrations.0016_changes_of_figures")

ALL = "UNION SELECT 0 WHERE EXISTS (SELECT FROM taken)"
JUDGED = """
        UNION SELECT -2 WHERE EXISTS (
            SELECT FROM taken WHERE EXISTS (
                SELECT FROM labeling_label AS label WHERE label.response_id = taken.response_id
            ) OR EXISTS (SELECT FROM labeling_grade AS grade WHERE grade.response_id = taken.response_id)
        )"""
FOLD = BEFORE.FOLD.replace(ALL, ALL + JUDGED)
NOTED = (
    "CREATE TRIGGER source_changed AFTER DELETE OR TRUNCATE ON labeling_label "
    "FOR EACH STATEMENT EXECUTE FUNCTION labeling_note_source()"
)
SCOPES = "a study; 0: all answers; -1: what labeling_sourcechange notes{more}"
COMMENT = f"COMMENT ON COLUMN labeling_changestamp.scope IS '{SCOPES}'"


class Migration(migrations.Migration):

    dependencies = [
        ('labeling', '0016_changes_of_figures'),
    ]

    operations = [
        # Django knows neither functions nor triggers.
        migrations.RunSQL(FOLD, BEFORE.FOLD),
        migrations.RunSQL(NOTED, "DROP TRIGGER source_changed ON labeling_label"),
        migrations.RunSQL(COMMENT.format(more="; -2: judged or graded answers"), COMMENT.format(more="")),
    ]
