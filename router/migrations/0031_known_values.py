from django.db import migrations

from benchmarks.concurrent_checks import hold_to


class Migration(migrations.Migration):

    atomic = False  # requests are answered meanwhile

    dependencies = [
        ('router', '0029_refused_answers_once'),
    ]

    operations = [
        hold_to('gatewayrequest', 'surface', ['openai', 'ollama', 'page', 'command'], 'gateway_request_surface_known'),
        hold_to('gatewayrequest', 'state', ['running', 'answered', 'failed', 'cancelled', 'abandoned'], 'gateway_request_state_known'),
        hold_to('gatewayrequest', 'cache_hit', ['', 'exact', 'semantic'], 'gateway_request_cache_hit_known'),
        hold_to('policyversion', 'policy', ['nearest', 'category', 'knn', 'guarded', 'floor', 'cascade', 'fixed'], 'policy_version_policy_known'),
        hold_to('policyversion', 'estimator', ['neighbours', 'regression'], 'policy_version_estimator_known'),
        hold_to('routingdecision', 'reason', ['cheapest_correct', 'cheapest_none_correct', 'category', 'dial', 'fallback', 'novel', 'as_good', 'floor', 'below_floor', 'fixed', 'pinned', 'budget', 'conversation', 'cascade', 'refused', 'degraded', 'background'], 'routing_decision_reason_known'),
        hold_to('routingdecision', 'routed_as', ['', 'prompt', 'item'], 'routing_decision_routed_as_known'),
        hold_to('upstreamattempt', 'outcome', ['running', 'finished', 'failed', 'cancelled', 'abandoned'], 'upstream_attempt_outcome_known'),
    ]
