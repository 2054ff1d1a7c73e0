import uuid

import django.contrib.postgres.functions
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('labeling', '0009_campaign_notices'),
    ]

    operations = [
        # Postgres gives each label that is there already a number of its own: its default is worked out row by row.
        migrations.AddField(
            model_name='label',
            name='uuid',
            field=models.UUIDField(db_default=django.contrib.postgres.functions.RandomUUID(), default=uuid.uuid4, editable=False, help_text='The same wherever a file or a bundle carries the label.', unique=True),
        ),
        migrations.AddField(
            model_name='label',
            name='external_id',
            field=models.CharField(blank=True, db_default='', default='', help_text='Of a label from elsewhere: who numbered it there and its number, such as label-studio:1001.', max_length=200),
        ),
        migrations.AddConstraint(
            model_name='label',
            constraint=models.UniqueConstraint(condition=models.Q(('external_id', ''), _negated=True), fields=('response', 'external_id'), name='label_external_id_once'),
        ),
    ]
