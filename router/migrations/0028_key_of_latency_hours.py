"""Let a fold find the rows of a key at once: by the hour alone it looked through all that a busy hour had folded before.

The index is built while others write. One that was cut short is dropped and begun anew.
"""

from django.db import migrations

LEDGER = "router_latencyhour_ledger"


NEW = f"latency_hour_key ON {LEDGER} (began_at, part, deployment_id, bucket)"
OLD = f"latency_hour_began ON {LEDGER} (began_at)"


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('router', '0027_latency_days'),
    ]

    operations = [
        # Django knows no ledgers. Each statement stands alone: none of them runs inside a transaction.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS latency_hour_key", migrations.RunSQL.noop),
        migrations.RunSQL(f"CREATE INDEX CONCURRENTLY {NEW}", "DROP INDEX CONCURRENTLY IF EXISTS latency_hour_key"),
        migrations.RunSQL(
            "DROP INDEX CONCURRENTLY IF EXISTS latency_hour_began", f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {OLD}"
        ),
    ]
