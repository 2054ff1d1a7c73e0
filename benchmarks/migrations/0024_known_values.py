from django.db import migrations, models

from benchmarks.concurrent_checks import AddCheck


def hold(model, field, values, name):
    check = models.CheckConstraint(condition=models.Q((f'{field}__in', values)), name=name)
    return AddCheck(model_name=model, constraint=check)


class Migration(migrations.Migration):

    atomic = False  # answers are measured meanwhile

    dependencies = [
        ('benchmarks', '0023_index_for_quality'),
    ]

    operations = [
        hold('channelreading', 'quality', ['measured', 'component', 'estimated', 'simulated', 'missing'], 'channel_reading_quality_known'),
        hold('deployment', 'state', ['candidate', 'evaluating', 'labeling', 'active', 'retired'], 'deployment_state_known'),
        hold('inferenceserver', 'kind', ['ollama', 'openai'], 'server_kind_known'),
        hold('languagemodel', 'purpose', ['chat', 'embedding'], 'language_model_purpose_known'),
        hold('measurement', 'purpose', ['response', 'idle_baseline', 'calibration', 'index_build', 'control', 'gateway_request', 'imported'], 'measurement_purpose_known'),
        hold('measurement', 'quality', ['measured', 'component', 'estimated', 'simulated', 'missing'], 'measurement_quality_known'),
        hold('prompt', 'role', ['train', 'validation', 'unused'], 'prompt_role_known'),
        hold('response', 'state', ['pending', 'running', 'finished', 'failed', 'cancelled'], 'response_state_known'),
        hold('responseattempt', 'outcome', ['running', 'finished', 'failed', 'lost'], 'response_attempt_outcome_known'),
        hold('study', 'kind', ['measured', 'imported', 'live', 'router'], 'study_kind_known'),
        hold('study', 'state', ['draft', 'running', 'paused', 'finished', 'cancelled'], 'study_state_known'),
        hold('study', 'order', ['grouped', 'interleaved'], 'study_order_known'),
    ]
