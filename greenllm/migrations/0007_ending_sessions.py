"""Count how often all sessions of a person ended with a change of their second factor, whichever door it came by."""

from django.db import migrations, models

COUNT = """
CREATE FUNCTION greenllm_end_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE greenllm_user SET sessions_ended = sessions_ended + 1
    WHERE id = CASE TG_OP WHEN 'DELETE' THEN OLD.user_id ELSE NEW.user_id END;
    RETURN NULL;
END $$;
CREATE TRIGGER greenllm_end_sessions_added AFTER INSERT ON mfa_authenticator
    FOR EACH ROW WHEN (NEW.type = 'totp') EXECUTE FUNCTION greenllm_end_sessions();
CREATE TRIGGER greenllm_end_sessions_gone AFTER DELETE ON mfa_authenticator
    FOR EACH ROW WHEN (OLD.type = 'totp') EXECUTE FUNCTION greenllm_end_sessions()
"""
COUNT_BACK = """
DROP TRIGGER greenllm_end_sessions_added ON mfa_authenticator;
DROP TRIGGER greenllm_end_sessions_gone ON mfa_authenticator;
DROP FUNCTION greenllm_end_sessions()
"""


class Migration(migrations.Migration):
    dependencies = [("greenllm", "0006_second_factor")]

    operations = [
        migrations.AddField(
            "user", "sessions_ended", models.PositiveIntegerField(db_default=0, default=0, editable=False)
        ),
        # Django knows neither functions nor triggers.
        migrations.RunSQL(COUNT, COUNT_BACK),
    ]
