from django.db import migrations

from benchmarks.concurrent_checks import hold_to


class Migration(migrations.Migration):

    atomic = False  # answers are judged meanwhile

    dependencies = [
        ('labeling', '0020_folds_remembered'),
    ]

    operations = [
        hold_to('flag', 'resolution', ['', 'kept', 'withdrawn'], 'flag_resolution_known'),
        hold_to('grade', 'verdict', ['correct', 'incorrect', 'unsure'], 'grade_verdict_known'),
        hold_to('judgementrule', 'evidence', ['after_vote', 'on_demand', 'never'], 'judgement_rule_evidence_known'),
        hold_to('label', 'verdict', ['correct', 'incorrect', 'unsure'], 'label_verdict_known'),
        hold_to('label', 'source', ['person', 'grader', 'imported'], 'label_source_known'),
        hold_to('label', 'kind', ['judgement', 'self_check', 'adjudication'], 'label_kind_known'),
        hold_to('lease', 'kind', ['judgement', 'self_check', 'adjudication'], 'lease_kind_known'),
    ]
