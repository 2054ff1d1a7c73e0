from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("benchmarks", "0019_energy_fits"),
    ]

    operations = [
        migrations.AddField(
            model_name="response",
            name="mean_margin_nats",
            field=models.FloatField(
                blank=True,
                help_text="By how much tokens were likelier than the next best, on average; empty: the server did not tell.",
                null=True,
            ),
        ),
    ]
