from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("benchmarks", "0016_packed_samples")]
    operations = [
        migrations.AddField(
            model_name="study",
            name="measure_again_count",
            field=models.PositiveSmallIntegerField(
                db_default=0,
                default=0,
                help_text="How often at most a response is measured again whose energy is missing because of a gap.",
            ),
        ),
    ]
