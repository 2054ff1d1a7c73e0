from django.db import migrations

from benchmarks.concurrent_checks import hold_to


class Migration(migrations.Migration):

    atomic = False  # answers are measured meanwhile

    dependencies = [
        ('benchmarks', '0023_index_for_quality'),
    ]

    operations = [
        hold_to('channelreading', 'quality', ['measured', 'component', 'estimated', 'simulated', 'missing'], 'channel_reading_quality_known'),
        hold_to('deployment', 'state', ['candidate', 'evaluating', 'labeling', 'active', 'retired'], 'deployment_state_known'),
        hold_to('inferenceserver', 'kind', ['ollama', 'openai'], 'server_kind_known'),
        hold_to('languagemodel', 'purpose', ['chat', 'embedding'], 'language_model_purpose_known'),
        hold_to('measurement', 'purpose', ['response', 'idle_baseline', 'calibration', 'index_build', 'control', 'gateway_request', 'imported'], 'measurement_purpose_known'),
        hold_to('measurement', 'quality', ['measured', 'component', 'estimated', 'simulated', 'missing'], 'measurement_quality_known'),
        hold_to('prompt', 'role', ['train', 'validation', 'unused'], 'prompt_role_known'),
        hold_to('response', 'state', ['pending', 'running', 'finished', 'failed', 'cancelled'], 'response_state_known'),
        hold_to('responseattempt', 'outcome', ['running', 'finished', 'failed', 'lost'], 'response_attempt_outcome_known'),
        hold_to('study', 'kind', ['measured', 'imported', 'live', 'router'], 'study_kind_known'),
        hold_to('study', 'state', ['draft', 'running', 'paused', 'finished', 'cancelled'], 'study_state_known'),
        hold_to('study', 'order', ['grouped', 'interleaved'], 'study_order_known'),
    ]
