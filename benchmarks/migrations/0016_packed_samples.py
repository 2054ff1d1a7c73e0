"""Keep the samples of a trace in one string of bytes (benchmarks/traces.py, format version 2).

A year of four channels at 10 Hz then takes about 5.5 GB instead of 8.2. Rows of version 1 stay as they are and stay
readable, so this changes no row. The bytes are dense already: the column's storage keeps Postgres from trying to
compress them. The view shows the samples of both versions; what it needs to read the bytes is a function of its own,
which damaged bytes give no rows, lest one of them hide all others.

Backwards, the traces of version 2 become arrays again, by the rules of version 1: a grid through the median lateness,
offsets in the finest unit in which 16 bits hold them.
"""

from statistics import median_low

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

FUNCTION = """
CREATE FUNCTION benchmarks_trace_samples(
    packed bytea, sample_count integer, first_at_ns bigint, period_ns bigint, usual_window_ns bigint, unit_ns bigint
) RETURNS TABLE (at_ns bigint, window_ns bigint, value bigint)
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    numbers bigint[] := '{}';
    number bigint := 0;
    shift integer := 0;
    byte integer;
    moment bigint;
    before_ns bigint := first_at_ns - period_ns;
    next_window integer := 2 * sample_count + 1;
BEGIN
    moment := -(period_ns / unit_ns);
    FOR place IN 0 .. length(packed) - 1 LOOP
        byte := get_byte(packed, place);
        number := number | ((byte & 127)::bigint << shift);
        IF byte < 128 THEN
            numbers := array_append(numbers, number);
            number := 0;
            shift := 0;
        ELSE
            shift := shift + 7;
            IF shift >= 64 THEN
                RETURN;
            END IF;
        END IF;
    END LOOP;
    IF shift > 0 OR cardinality(numbers) < 2 * sample_count OR cardinality(numbers) % 2 = 1 THEN
        RETURN;
    END IF;
    value := 0;
    FOR k IN 1 .. sample_count LOOP
        -- zigzag: the lowest bit is the sign; the mask makes the shift a logical one
        number := numbers[k];
        moment := moment + period_ns / unit_ns + (((number >> 1) & 9223372036854775807) # -(number & 1));
        number := numbers[sample_count + k];
        value := value + (((number >> 1) & 9223372036854775807) # -(number & 1));
        at_ns := first_at_ns + moment * unit_ns;
        IF numbers[next_window] = k - 1 THEN
            window_ns := numbers[next_window + 1];
            next_window := next_window + 2;
        ELSIF usual_window_ns > 0 THEN
            window_ns := usual_window_ns;
        ELSE
            window_ns := at_ns - before_ns;
        END IF;
        before_ns := at_ns;
        RETURN NEXT;
    END LOOP;
EXCEPTION WHEN numeric_value_out_of_range OR division_by_zero THEN
    RETURN;
END
$$
"""
ARRAYS = """
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
"""
PACKED = """
SELECT trace.measurement_id, trace.channel, trace.quantity, sample.value, sample.at_ns, sample.window_ns
FROM benchmarks_energytrace AS trace
CROSS JOIN LATERAL benchmarks_trace_samples(
    trace.packed_samples, trace.sample_count, trace.first_at_ns, trace.period_ns, trace.window_ns, trace.offset_unit_ns
) AS sample
WHERE trace.format_version = 2
"""
VIEW = """
CREATE VIEW benchmarks_energy_sample AS
SELECT sample.measurement_id,
       sample.channel,
       sample.at_ns,
       sample.window_ns,
       CASE WHEN sample.quantity = 'power_mw' THEN sample.value::double precision
            ELSE sample.value * 1e6 / NULLIF(sample.window_ns, 0) END AS power_mw,
       CASE WHEN sample.quantity = 'energy_uj' THEN sample.value::double precision
            ELSE sample.value::double precision * sample.window_ns / 1e6 END AS energy_uj
FROM ({samples}) AS sample
"""
DROP = "DROP VIEW benchmarks_energy_sample"


def to_arrays(apps, schema_editor):
    """Write the traces of version 2 as those of version 1; one that its grid cannot hold stops the way back."""
    traces = apps.get_model("benchmarks", "EnergyTrace").objects.using(schema_editor.connection.alias)
    ids = traces.filter(format_version=2).order_by("pk").values_list("pk", flat=True)
    for pk in list(ids):
        trace = traces.get(pk=pk)
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(
                "SELECT at_ns, value FROM benchmarks_trace_samples(%s, %s, %s, %s, %s, %s) ORDER BY at_ns",
                [
                    trace.packed_samples, trace.sample_count, trace.first_at_ns, trace.period_ns, trace.window_ns,
                    trace.offset_unit_ns,
                ],
            )  # fmt: skip
            samples = cursor.fetchall()
        if not samples:
            raise ValueError(f"trace {pk} is damaged; delete it to go back")
        _lay_on_grid(trace, samples)
        trace.format_version, trace.packed_samples = 1, None
        trace.save()


def _lay_on_grid(trace, samples):
    moments = [at_ns for at_ns, _ in samples]
    period, half = trace.period_ns, trace.period_ns // 2
    origin = moments[0] + median_low((at_ns - moments[0] + half) % period - half for at_ns in moments)
    points = [(at_ns - origin + half) // period for at_ns in moments]
    for index in range(len(points) - 2, -1, -1):
        points[index] = min(points[index], points[index + 1] - 1)
    trace.first_at_ns = origin + points[0] * period
    points = [point - points[0] for point in points]
    late = [at_ns - trace.first_at_ns - point * period for at_ns, point in zip(moments, points, strict=True)]
    fitting = [unit for unit in (1_000, 10_000, 100_000, 1_000_000) if max(map(abs, late)) <= 32_767 * unit]
    if not fitting:
        raise ValueError(f"trace {trace.pk} is too far off its period for format version 1")
    trace.offset_unit_ns = fitting[0]
    trace.offsets, trace.values = [None] * (points[-1] + 1), [None] * (points[-1] + 1)
    for point, late_ns, (_, value) in zip(points, late, samples, strict=True):
        trace.offsets[point], trace.values[point] = round(late_ns / fitting[0]), value


class Migration(migrations.Migration):
    dependencies = [("benchmarks", "0015_control_runs")]
    operations = [
        migrations.AddField(
            model_name="energytrace",
            name="packed_samples",
            field=models.BinaryField(
                blank=True, help_text="All samples, from format version 2 on.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="energytrace",
            name="first_at_ns",
            field=models.BigIntegerField(
                help_text="The first sample, or the grid's first point, on the machine's monotonic clock."
            ),
        ),
        migrations.AlterField(
            model_name="energytrace",
            name="offsets",
            field=ArrayField(
                base_field=models.SmallIntegerField(null=True),
                blank=True,
                help_text="Format version 1.",
                null=True,
                size=None,
            ),
        ),
        migrations.AlterField(
            model_name="energytrace",
            name="values",
            field=ArrayField(
                base_field=models.IntegerField(null=True),
                blank=True,
                help_text="Format version 1.",
                null=True,
                size=None,
            ),
        ),
        migrations.AddConstraint(
            model_name="energytrace",
            constraint=models.CheckConstraint(
                condition=models.Q(("packed_samples__isnull", False))
                | models.Q(("offsets__isnull", False), ("values__isnull", False)),
                name="energy_trace_has_samples",
            ),
        ),
        # Django knows neither storage nor functions nor views.
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE benchmarks_energytrace ALTER COLUMN packed_samples SET STORAGE EXTERNAL",
                    migrations.RunSQL.noop,
                ),
                migrations.RunSQL(
                    FUNCTION,
                    "DROP FUNCTION benchmarks_trace_samples(bytea, integer, bigint, bigint, bigint, bigint)",
                ),
                migrations.RunSQL(DROP, VIEW.format(samples=ARRAYS)),
                migrations.RunSQL(VIEW.format(samples=ARRAYS + "UNION ALL" + PACKED), DROP),
            ]
        ),
        migrations.RunPython(migrations.RunPython.noop, to_arrays),
    ]
