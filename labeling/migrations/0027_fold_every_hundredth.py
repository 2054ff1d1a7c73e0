"""Fold at every hundredth mark of a changed answer, not at every 500th, and look at what was marked alone.

What waits to be folded is worked out anew by each page that counts answers, 0.1 to 0.2 ms each on a slow machine. So that
folds are remembered as far back as before, there are five times as many of them.

Whether any marked answer is judged or graded was asked of each by itself, for which Postgres read all labels and grades
there are: most of a fold, whatever the number of its marks. It is asked of all of them together now, by the indexes.
"""

from importlib import import_module

from django.db import migrations

TALLY = import_module("labeling.migrations.0013_answer_rollups")
JUDGED = import_module("labeling.migrations.0017_changes_of_judged_answers")
BEFORE = import_module("labeling.migrations.0020_folds_remembered")

FOLD_EVERY = 100
KEPT_FOLDS = 250
FORGOTTEN = "latest.number - {}"
OF_MARKED = "response_id = ANY((SELECT ids FROM marked)::bigint[])"
JUDGED_AMONG = f"""
        UNION SELECT -2 WHERE EXISTS (SELECT FROM labeling_label WHERE {OF_MARKED})
            OR EXISTS (SELECT FROM labeling_grade WHERE {OF_MARKED})"""
FOLD = BEFORE.FOLD.replace(FORGOTTEN.format(BEFORE.KEPT_FOLDS), FORGOTTEN.format(KEPT_FOLDS))
FOLD = FOLD.replace(JUDGED.JUDGED, JUDGED_AMONG)
TRIGGER = """
DROP TRIGGER fold ON labeling_answermark;
CREATE CONSTRAINT TRIGGER fold AFTER INSERT ON labeling_answermark DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (NEW.id % {} = 0) EXECUTE FUNCTION benchmarks_fold_soon('labeling_fold_answers')
"""


class Migration(migrations.Migration):

    dependencies = [
        ('labeling', '0026_unfinished_answers'),
    ]

    operations = [
        # Django knows neither functions nor triggers.
        migrations.RunSQL(FOLD, BEFORE.FOLD),
        migrations.RunSQL(TRIGGER.format(FOLD_EVERY), TRIGGER.format(TALLY.FOLD_EVERY)),
    ]
