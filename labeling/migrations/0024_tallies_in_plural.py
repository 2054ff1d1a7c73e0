from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('labeling', '0021_known_values'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='answertally',
            options={'managed': False, 'verbose_name_plural': 'answer tallies'},
        ),
    ]
