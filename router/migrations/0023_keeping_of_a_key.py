from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("router", "0022_denials_of_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="is_keeping_agreed",
            field=models.BooleanField(
                default=False,
                help_text="Whether the owner agreed that what is sent with store: true may be kept with its answer for labels.",
                verbose_name="keeping agreed",
            ),
        ),
    ]
