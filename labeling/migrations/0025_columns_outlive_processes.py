"""Keep columns that web processes read of answers and labels, so that a process that has begun goes on from there.

As with the kept figures, the table says nothing that the rows do not say: it is in no backup, and its writing costs no
log. Its values are numbers side by side, which compressing would only make slower.
"""

from django.db import migrations

MADE = """
CREATE UNLOGGED TABLE labeling_keptcolumns (
    name text PRIMARY KEY,
    seen text NOT NULL,
    value bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE labeling_keptcolumns ALTER COLUMN value SET STORAGE EXTERNAL;
COMMENT ON COLUMN labeling_keptcolumns.name IS 'digest of the key and of the code that made it';
COMMENT ON COLUMN labeling_keptcolumns.seen IS 'labeling.renewing: what answers were like before it was read'
"""


class Migration(migrations.Migration):

    dependencies = [
        ('labeling', '0024_tallies_in_plural'),
    ]

    operations = [
        # Django makes no table that is not logged, and no model reads it.
        migrations.RunSQL(MADE, "DROP TABLE labeling_keptcolumns"),
    ]
