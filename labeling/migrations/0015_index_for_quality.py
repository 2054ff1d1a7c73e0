from django.conf import settings
from django.db import migrations, models

from benchmarks.concurrent_indexes import BuildIndex


class Migration(migrations.Migration):

    atomic = False  # people and graders judge meanwhile

    dependencies = [
        ('benchmarks', '0023_index_for_quality'),
        ('labeling', '0014_page_indexes'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        BuildIndex(
            model_name='grade',
            index=models.Index(fields=['response', '-grader_version', '-id'], include=('grader', 'verdict'), name='grade_latest'),
        ),
        BuildIndex(
            model_name='label',
            index=models.Index(condition=models.Q(('is_current', True), ('source', 'person'), ('voided_at__isnull', True)), fields=['response', 'labeler', 'kind'], include=('id', 'verdict', 'saw_evidence', 'active_seconds', 'created_at'), name='label_of_people_now'),
        ),
    ]
