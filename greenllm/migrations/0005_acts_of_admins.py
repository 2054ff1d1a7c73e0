"""Make the table of what admins did, the triggers that fill it, and the one that keeps it as it is."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from greenllm.acts.watched import LATER, WATCHED, triggers

# What is told of a row, without the name and password that an address may hold before its host.
NOTE = """
CREATE FUNCTION greenllm_told(told jsonb, columns text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(coalesce(jsonb_object_agg(key, value), '{}')::text, '//[^/@"]*@', '//', 'g')::jsonb
    FROM jsonb_each(told) WHERE key = ANY (columns)
$$;
CREATE FUNCTION greenllm_note_act() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    actor jsonb := current_setting('greenllm.actor')::jsonb;
    was jsonb := '{}';
    is_now jsonb := '{}';
    differing text[];
BEGIN
    IF TG_OP <> 'INSERT' THEN was := greenllm_told(to_jsonb(OLD), TG_ARGV); END IF;
    IF TG_OP <> 'DELETE' THEN is_now := greenllm_told(to_jsonb(NEW), TG_ARGV); END IF;
    IF TG_OP = 'UPDATE' THEN
        differing := ARRAY(SELECT key FROM jsonb_each(was) WHERE value IS DISTINCT FROM is_now -> key);
        IF differing = '{}' THEN RETURN NULL; END IF;
        was := greenllm_told(was, differing);
        is_now := greenllm_told(is_now, differing);
    END IF;
    INSERT INTO greenllm_adminact (happened_at, person_id, address, kind, "table", object_id, before, after)
    SELECT clock_timestamp(), (SELECT id FROM greenllm_user WHERE id = (actor ->> 'person')::bigint),
        (actor ->> 'address')::inet,
        CASE TG_OP WHEN 'INSERT' THEN 'added' WHEN 'UPDATE' THEN 'changed' ELSE 'deleted' END,
        TG_TABLE_NAME, CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END ->> 'id', was, is_now;
    RETURN NULL;
END $$
"""
NOTE_BACK = "DROP FUNCTION greenllm_note_act(); DROP FUNCTION greenllm_told(jsonb, text[])"
# Whoever is erased takes their address along; everything else stays as it was written.
KEEP = """
CREATE FUNCTION greenllm_keep_act() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.person_id IS NULL THEN
        NEW.address := NULL;
        IF to_jsonb(NEW) - 'person_id' - 'address' = to_jsonb(OLD) - 'person_id' - 'address' THEN RETURN NEW; END IF;
    END IF;
    RAISE EXCEPTION 'acts of admins are neither changed nor deleted' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER greenllm_keep_act BEFORE UPDATE OR DELETE ON greenllm_adminact
    FOR EACH ROW EXECUTE FUNCTION greenllm_keep_act()
"""
KEEP_BACK = "DROP TRIGGER greenllm_keep_act ON greenllm_adminact; DROP FUNCTION greenllm_keep_act()"


class Migration(migrations.Migration):
    dependencies = [
        ("greenllm", "0002_roles"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("benchmarks", "0023_index_for_quality"),
        ("labeling", "0015_index_for_quality"),
        ("router", "0026_degraded_decisions"),
    ]

    operations = [
        migrations.CreateModel(
            name="AdminAct",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("happened_at", models.DateTimeField()),
                (
                    "address",
                    models.GenericIPAddressField(blank=True, help_text="Where the request came from.", null=True),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("added", "Added"),
                            ("changed", "Changed"),
                            ("deleted", "Deleted"),
                            ("link_made", "Made a password link for"),
                        ],
                        max_length=10,
                    ),
                ),
                ("table", models.CharField(max_length=63)),
                ("object_id", models.CharField(max_length=40)),
                (
                    "before",
                    models.JSONField(default=dict, help_text="What was changed or deleted, as it was."),
                ),
                (
                    "after",
                    models.JSONField(default=dict, help_text="What was added or changed, as it is since."),
                ),
                (
                    "person",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: erased since.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="acts",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"indexes": [models.Index(fields=["-happened_at", "-id"], name="act_latest")]},
        ),
        # Django knows neither functions nor triggers.
        migrations.RunSQL(NOTE, NOTE_BACK),
        migrations.RunSQL(KEEP, KEEP_BACK),
        *(migrations.RunSQL(watch, end) for watch, end in triggers(name for name in WATCHED if name not in LATER)),
    ]
