"""Tell what commands at a shell and jobs of a worker do, too: where it was done, by whom of the system and by what."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# As migration 0005 has it, but for what it writes, and that prompts and carbon intensities, which programs bring by
# the ten thousand, are counted where the program ends.
_NOTE = """
CREATE OR REPLACE FUNCTION greenllm_note_act() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    actor jsonb := current_setting('greenllm.actor')::jsonb;
    was jsonb := '{{}}';
    is_now jsonb := '{{}}';
    differing text[];
BEGIN
    {begin}
    IF TG_OP <> 'INSERT' THEN was := greenllm_told(to_jsonb(OLD), TG_ARGV); END IF;
    IF TG_OP <> 'DELETE' THEN is_now := greenllm_told(to_jsonb(NEW), TG_ARGV); END IF;
    IF TG_OP = 'UPDATE' THEN
        differing := ARRAY(SELECT key FROM jsonb_each(was) WHERE value IS DISTINCT FROM is_now -> key);
        IF differing = '{{}}' THEN RETURN NULL; END IF;
        was := greenllm_told(was, differing);
        is_now := greenllm_told(is_now, differing);
    END IF;
    INSERT INTO greenllm_adminact ({columns}happened_at, person_id, address, kind, "table", object_id, before, after)
    SELECT {values}clock_timestamp(), (SELECT id FROM greenllm_user WHERE id = (actor ->> 'person')::bigint),
        (actor ->> 'address')::inet,
        CASE TG_OP WHEN 'INSERT' THEN 'added' WHEN 'UPDATE' THEN 'changed' ELSE 'deleted' END,
        TG_TABLE_NAME, CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END ->> 'id', was, is_now;
    RETURN NULL;
END $$
"""
NOTE = _NOTE.format(
    begin="""IF actor ? 'program' AND TG_TABLE_NAME IN ('benchmarks_prompt', 'benchmarks_carbonintensity') THEN
        RETURN NULL;
    END IF;""",
    columns="place, os_user, program, ",
    values="""coalesce(actor ->> 'place', 'page'), coalesce(actor ->> 'os_user', ''),
        coalesce(actor ->> 'program', ''), """,
)
NOTE_BEFORE = _NOTE.format(begin="", columns="", values="")

class Migration(migrations.Migration):
    dependencies = [("greenllm", "0007_ending_sessions")]

    operations = [
        migrations.AddField(
            "adminact",
            "place",
            models.CharField(
                choices=[("page", "On a page"), ("shell", "At the shell"), ("worker", "By a worker")],
                db_default="page",
                default="page",
                max_length=6,
            ),
        ),
        migrations.AddField(
            "adminact",
            "os_user",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Of the shell, as the operating system knows.",
                max_length=150,
            ),
        ),
        migrations.AddField(
            "adminact",
            "program",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The command, or the job of the worker.",
                max_length=150,
            ),
        ),
        migrations.AlterField(
            "adminact",
            "kind",
            models.CharField(
                choices=[
                    ("added", "Added"),
                    ("changed", "Changed"),
                    ("deleted", "Deleted"),
                    ("link_made", "Made a password link for"),
                    ("ran", "Ran"),
                    ("ended", "Ended"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField("adminact", "table", models.CharField(blank=True, max_length=63)),
        migrations.AlterField("adminact", "object_id", models.CharField(blank=True, max_length=40)),
        migrations.AlterField(
            "adminact",
            "person",
            models.ForeignKey(
                blank=True,
                help_text="Empty: erased since, or done by a program.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="acts",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.RunSQL(NOTE, NOTE_BEFORE),
    ]
