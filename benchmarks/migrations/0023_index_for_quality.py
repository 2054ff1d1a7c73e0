from django.db import migrations, models

from benchmarks.concurrent_indexes import BuildIndex


class Migration(migrations.Migration):

    atomic = False  # answers are written meanwhile

    dependencies = [
        ('benchmarks', '0022_page_indexes'),
    ]

    operations = [
        BuildIndex(
            model_name='response',
            index=models.Index(fields=['id'], include=('prompt',), name='response_prompt_by_id'),
        ),
    ]
