from django.db import migrations, models

from benchmarks.concurrent_indexes import BuildIndex

ASKED_FOR = ('deployment_id', 'category_id', 'role', 'state', 'verdict')


def build(column, name):
    fields = ['study_id', column, 'response_id']
    return BuildIndex(model_name='answerfact', index=models.Index(fields=fields, include=ASKED_FOR, name=name))


class Migration(migrations.Migration):

    atomic = False  # answers are counted meanwhile

    dependencies = [
        ('labeling', '0018_kept_figures'),
    ]

    operations = [
        build('energy_j', 'answer_fact_by_energy'),
        build('sci_gco2e', 'answer_fact_by_sci'),
        build('time_reserved_s', 'answer_fact_by_time'),
    ]
