"""Fold at every hundredth mark of a changed answer, not at every 500th.

What waits to be folded is worked out anew by each page that counts answers, 0.1 to 0.2 ms each on a slow machine. A fold
takes as long for each mark, however many there are; whoever commits the hundredth now waits for a fifth of it. So that
folds are remembered as far back as before, there are five times as many of them.
"""

from importlib import import_module

from django.db import migrations

TALLY = import_module("labeling.migrations.0013_answer_rollups")
BEFORE = import_module("labeling.migrations.0020_folds_remembered")

FOLD_EVERY = 100
KEPT_FOLDS = 250
FORGOTTEN = "latest.number - {}"
FOLD = BEFORE.FOLD.replace(FORGOTTEN.format(BEFORE.KEPT_FOLDS), FORGOTTEN.format(KEPT_FOLDS))
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
