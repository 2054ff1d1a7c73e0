from django.db import migrations, models

from benchmarks.concurrent_checks import AddCheck


def hold(model, field, values, name):
    check = models.CheckConstraint(condition=models.Q((f'{field}__in', values)), name=name)
    return AddCheck(model_name=model, constraint=check)


class Migration(migrations.Migration):

    atomic = False  # answers are judged meanwhile

    dependencies = [
        ('labeling', '0020_folds_remembered'),
    ]

    operations = [
        hold('flag', 'resolution', ['', 'kept', 'withdrawn'], 'flag_resolution_known'),
        hold('grade', 'verdict', ['correct', 'incorrect', 'unsure'], 'grade_verdict_known'),
        hold('judgementrule', 'evidence', ['after_vote', 'on_demand', 'never'], 'judgement_rule_evidence_known'),
        hold('label', 'verdict', ['correct', 'incorrect', 'unsure'], 'label_verdict_known'),
        hold('label', 'source', ['person', 'grader', 'imported'], 'label_source_known'),
        hold('label', 'kind', ['judgement', 'self_check', 'adjudication'], 'label_kind_known'),
        hold('lease', 'kind', ['judgement', 'self_check', 'adjudication'], 'lease_kind_known'),
    ]
