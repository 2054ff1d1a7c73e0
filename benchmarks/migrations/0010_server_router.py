import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('benchmarks', '0009_calibrations'),
    ]

    operations = [
        migrations.AddField(
            model_name='inferenceserver',
            name='is_router',
            field=models.BooleanField(default=False, help_text='A GreenLLM router: studies may ask it, but nothing is ever routed to it.'),
        ),
        migrations.AddField(
            model_name='inferenceserver',
            name='network_kwh_per_gb',
            field=models.FloatField(blank=True, help_text='Of the way to a router that is not on the machine itself; without it such a study has no energy.', null=True, validators=[django.core.validators.MinValueValidator(0.0)], verbose_name='network (kWh per GB)'),
        ),
        migrations.AddConstraint(
            model_name='inferenceserver',
            constraint=models.CheckConstraint(condition=models.Q(('network_kwh_per_gb__isnull', True), ('network_kwh_per_gb__gte', 0), _connector='OR'), name='server_network_not_negative'),
        ),
    ]
