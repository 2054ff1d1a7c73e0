from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('labeling', '0002_queue_of_answers'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name='label',
            index=models.Index(fields=['labeler', 'created_at'], name='label_labeler_created'),
        ),
    ]
