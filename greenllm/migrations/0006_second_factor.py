"""Where codes that were used, and guesses at them, are counted; and the second factor among what is told of admins."""

from django.db import migrations

from greenllm.acts.watched import triggers

CACHE = """
CREATE TABLE greenllm_cache (
    cache_key varchar(255) PRIMARY KEY, value text NOT NULL, expires timestamp with time zone NOT NULL
);
CREATE INDEX greenllm_cache_expires ON greenllm_cache (expires)
"""


class Migration(migrations.Migration):
    dependencies = [("greenllm", "0005_acts_of_admins"), ("mfa", "0003_authenticator_type_uniq")]

    operations = [
        migrations.RunSQL(CACHE, "DROP TABLE greenllm_cache"),
        *(migrations.RunSQL(watch, end) for watch, end in triggers(["mfa_authenticator"])),
    ]
