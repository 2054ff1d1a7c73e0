"""Find the answers of a study that failed or wait without a look at the hundred thousand that are finished."""

from django.db import migrations, models

from benchmarks.concurrent_indexes import BuildIndex


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('labeling', '0025_columns_outlive_processes'),
    ]

    operations = [
        BuildIndex(
            model_name='answerfact',
            index=models.Index(
                condition=~models.Q(state='finished'),
                fields=['study_id', 'response_id'],
                include=('deployment_id', 'category_id', 'role', 'state', 'verdict'),
                name='answer_fact_unfinished',
            ),
        ),
    ]
