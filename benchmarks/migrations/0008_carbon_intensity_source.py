from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('benchmarks', '0007_live_carbon_intensity'),
    ]

    operations = [
        migrations.AddField(
            model_name='measurement',
            name='carbon_intensity_source',
            field=models.CharField(blank=True, help_text='Zone, year and source of the carbon intensity, or who gave it.', max_length=300),
        ),
        migrations.AddField(
            model_name='study',
            name='carbon_intensity_source',
            field=models.CharField(blank=True, help_text='Zone, year and source of the carbon intensity, or who gave it.', max_length=300),
        ),
    ]
