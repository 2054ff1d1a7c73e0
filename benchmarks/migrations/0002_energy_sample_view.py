"""Show every sample as a row to anyone who wants plain SQL.

A view, because the samples are stored packed (benchmarks/traces.py, format version 1): two arrays of one length,
unnested side by side. Points of the grid without a reading are left out. A window of 0 means that each sample
reaches back to the one before; the first one's is then one period.
"""

from django.db import migrations

FORWARD = """
CREATE VIEW benchmarks_energy_sample AS
SELECT sample.measurement_id,
       sample.channel,
       sample.at_ns,
       sample.window_ns,
       CASE WHEN sample.quantity = 'power_mw' THEN sample.value::double precision
            ELSE sample.value * 1e6 / NULLIF(sample.window_ns, 0) END AS power_mw,
       CASE WHEN sample.quantity = 'energy_uj' THEN sample.value::double precision
            ELSE sample.value * sample.window_ns / 1e6 END AS energy_uj
FROM (
    SELECT point.measurement_id,
           point.channel,
           point.quantity,
           point.value,
           point.at_ns,
           CASE WHEN point.window_ns > 0 THEN point.window_ns
                ELSE COALESCE(
                    point.at_ns - lag(point.at_ns) OVER (PARTITION BY point.trace_id ORDER BY point.at_ns),
                    point.period_ns
                ) END AS window_ns
    FROM (
        SELECT trace.id AS trace_id,
               trace.measurement_id,
               trace.channel,
               trace.quantity,
               trace.window_ns,
               trace.period_ns,
               packed.value,
               trace.first_at_ns
                   + (packed.number - 1) * trace.period_ns
                   + packed.offset_units::bigint * trace.offset_unit_ns AS at_ns
        FROM benchmarks_energytrace AS trace
        CROSS JOIN LATERAL unnest(trace.offsets, trace.values)
            WITH ORDINALITY AS packed(offset_units, value, number)
        WHERE trace.format_version = 1 AND packed.value IS NOT NULL
    ) AS point
) AS sample
"""


class Migration(migrations.Migration):
    dependencies = [("benchmarks", "0001_catalog_studies_energy")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(FORWARD, "DROP VIEW benchmarks_energy_sample")]
        )
    ]
