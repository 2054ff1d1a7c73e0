"""Compare an answer that a person refused once: it is in the row of its own decision, so the one in its place adds
its own cost alone, and nothing to the other side, since the question was compared before.

Until here such an answer was charged with the refused ones too, whose carbon was so counted twice.
"""

from importlib import import_module

from django.db import migrations

HOURS = import_module("router.migrations.0024_hourly_rollups")
DAYS = import_module("router.migrations.0027_latency_days")

THEN = HOURS.ALTERNATIVES
ONCE = HOURS.Counted(
    THEN.name,
    THEN.key,
    THEN.sums
    | {
        "chosen_gco2e": HOURS.summed(
            "predicted_sci_gco2e::numeric"
            " + CASE WHEN reason <> 'refused' THEN coalesce(discarded_sci_gco2e, 0)::numeric ELSE 0 END"
        ),
        "alternative_gco2e": HOURS.summed("alternative_sci_gco2e::numeric", when="reason <> 'refused'"),
    },
    THEN.rows,
)
TABLE, ROLLUPS, _, COLUMNS = HOURS.WATCHED["decisions"]
CHANGES = HOURS.CHANGES["decisions"]


def with_once(rollups):
    return tuple(ONCE if one is THEN else one for one in rollups)


COUNTED = DAYS.COUNTED | {"decisions": with_once(DAYS.COUNTED["decisions"])}


def view(one):
    """Return the view: what is in the ledger, and what the changes add."""
    return (
        f"CREATE OR REPLACE VIEW {one.table} AS SELECT id, is_folded, {one.columns} FROM {one.ledger} UNION ALL "
        f"SELECT 0::bigint, false, {one.columns} FROM ({one.differences(f'SELECT * FROM {CHANGES}')}) AS decisions"
    )


def recount_function(one):
    every_row = one.differences(f"SELECT 1 AS sign, every_row.* FROM {TABLE} AS every_row")
    return (
        f"CREATE OR REPLACE FUNCTION router_{one.name}_now() RETURNS SETOF {one.table} LANGUAGE sql STABLE AS $$ "
        f"SELECT 0::bigint, false, {one.columns} FROM ({every_row}) AS now $$"
    )


def fold_function(counted):
    """Return the function of 0027 for other rollups."""
    taken = ", ".join(f"taken_{what} AS (DELETE FROM {name} RETURNING *)" for what, name in HOURS.CHANGES.items())
    appended = ", ".join(
        f"appended_{what}_{place} AS ({one.appended(f'SELECT * FROM taken_{what}')})"
        for what, rollups in counted.items()
        for place, one in enumerate(rollups)
    )
    taken_count = " + ".join(f"(SELECT count(*) FROM taken_{what})" for what in counted)
    folded = " + ".join(one.fold() for one in (*HOURS.ROLLUPS.values(), DAYS.ONE))
    return replacing(f"""
CREATE FUNCTION router_fold_hours() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    folded bigint;
BEGIN
    {HOURS.LOCK}
    WITH {taken}, {appended} SELECT {taken_count} INTO folded;
    RETURN folded + {folded};
END $$
""")


def replacing(function):
    return function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")


def correction(now, then):
    """Return what turns the ledger of one rule into that of another; by an index, since no table may be read here."""
    refused = (
        f"SELECT {{sign}} AS sign, one.* FROM {TABLE} AS one WHERE one.reason = 'refused' AND one.request_id IN "
        "(SELECT id FROM router_gatewayrequest WHERE instead_of_id IS NOT NULL)"
    )
    return "; ".join(one.appended(refused.format(sign=sign)) for one, sign in ((now, 1), (then, -1)))


# folded before, by the rule that was: whoever writes meanwhile is waited for, and whoever comes later writes by the new
SETTLE = f"""
SELECT router_fold_hours();
LOCK TABLE {CHANGES}, {ONCE.ledger} IN SHARE ROW EXCLUSIVE MODE;
SELECT router_fold_hours()
"""


class Migration(migrations.Migration):

    dependencies = [
        ('router', '0028_key_of_latency_hours'),
    ]

    operations = [
        # Django knows neither functions nor triggers, nor what is in a view.
        migrations.RunSQL(SETTLE, migrations.RunSQL.noop),
        migrations.RunSQL(correction(ONCE, THEN), correction(THEN, ONCE)),
        migrations.RunSQL(view(ONCE), view(THEN)),
        migrations.RunSQL(recount_function(ONCE), recount_function(THEN)),
        *(
            migrations.RunSQL(*(
                replacing(HOURS.changed_function("decisions", event, rollups, COLUMNS))
                for rollups in (COUNTED["decisions"], DAYS.COUNTED["decisions"])
            ))
            for event in HOURS.SIGNED
        ),
        migrations.RunSQL(fold_function(COUNTED), fold_function(DAYS.COUNTED)),
        migrations.RunSQL(migrations.RunSQL.noop, SETTLE),
    ]
