from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("router", "0020_answer_cache"),
    ]

    operations = [
        migrations.AddField(
            model_name="routingdecision",
            name="plan",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="Of a cascade: who was to be asked in turn, by which checker, and how far that one was trusted.",
            ),
        ),
    ]
