"""Keep figures that are no sums in the database, so that they outlive a web process and all of them can use them.

The table says nothing that the rows do not say, and is never read where they have changed since: it need not be in a
backup, and Postgres may empty it after a crash, so that its writing costs no log.
"""

from django.db import migrations

MADE = """
CREATE UNLOGGED TABLE labeling_keptfigure (
    name text PRIMARY KEY,
    state text NOT NULL,
    value text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN labeling_keptfigure.name IS 'digest of the figure''s key and of the code that made it';
COMMENT ON COLUMN labeling_keptfigure.state IS 'labeling.unchanged.state_of: of another state it says nothing'
"""


class Migration(migrations.Migration):

    dependencies = [
        ('labeling', '0017_changes_of_judged_answers'),
    ]

    operations = [
        # Django makes no table that is not logged, and no model reads it.
        migrations.RunSQL(MADE, "DROP TABLE labeling_keptfigure"),
    ]
