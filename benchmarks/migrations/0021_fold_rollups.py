"""Let rollups be folded: rows of the same key become one, and no sum changes (benchmarks/models/rollups.py).

Only keys with rows that are not folded are looked at. Rows that another transaction is folding are skipped, and readers
see either the rows or their sum. Keys of which nothing is left vanish.

`benchmarks_fold_soon` is for deferred triggers on every some hundredth row that waits to be folded: the transaction that
wrote it folds as it commits, unless somebody else is folding, or a fold of this transaction has taken that row already.
"""

from django.db import migrations

# the first of the sums counts rows: where that is 0, what was added has all been taken back
FOLD = """
CREATE FUNCTION benchmarks_fold_rollup(rollup regclass, scope text, keys text[], sums text[]) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    folded bigint;
    listed text := (SELECT string_agg(quote_ident(one), ', ') FROM unnest(keys) AS one);
    summed text := (SELECT string_agg(quote_ident(one), ', ') FROM unnest(sums) AS one);
    added text := (SELECT string_agg(format('sum(%I)', one), ', ') FROM unnest(sums) AS one);
BEGIN
    EXECUTE format($q$
        WITH held AS (
            SELECT id FROM %1$s
            WHERE %2$I IN (SELECT %2$I FROM %1$s WHERE NOT is_folded)
                AND (%3$s) IN (SELECT %3$s FROM %1$s WHERE NOT is_folded)
            FOR UPDATE SKIP LOCKED
        ), taken AS (
            DELETE FROM %1$s WHERE id IN (SELECT id FROM held) RETURNING *
        ), put AS (
            INSERT INTO %1$s (is_folded, %3$s, %4$s)
            SELECT true, %3$s, %5$s FROM taken GROUP BY %3$s HAVING sum(%6$I) <> 0
        )
        SELECT count(*) FROM taken
    $q$, rollup, scope, listed, summed, added, sums[1]) INTO folded;
    RETURN folded;
END $$
"""
# whoever folds holds the lock named like the function that does it, until its transaction ends
SOON = """
CREATE FUNCTION benchmarks_fold_soon() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_waiting boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE id = $1)', TG_RELID::regclass) INTO is_waiting USING NEW.id;
    IF is_waiting AND current_setting('transaction_isolation') = 'read committed'
            AND pg_try_advisory_xact_lock(hashtext(TG_ARGV[0])) THEN
        EXECUTE format('SELECT %I()', TG_ARGV[0]);
    END IF;
    RETURN NULL;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("benchmarks", "0020_margin_of_a_response")]

    operations = [
        migrations.RunSQL(FOLD, "DROP FUNCTION benchmarks_fold_rollup(regclass, text, text[], text[])"),
        migrations.RunSQL(SOON, "DROP FUNCTION benchmarks_fold_soon()"),
    ]
