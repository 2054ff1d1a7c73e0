"""Energy fits for tests of what routing makes of them."""

from benchmarks.models import Deployment, EnergyFit
from tests import factories as make


def make_fit(deployment: Deployment, **facts: object) -> EnergyFit:
    """Make a fit of 2 J, 0.01 J a prompt token and 0.1 J an output token, at three characters a token."""
    values = {
        "fitted_at": make.NOW, "quality": "estimated", "answer_count": 20, "prefill_count": 0, "decode_count": 0,
        "outlier_count": 0, "fixed_j": 2.0, "j_per_prompt_token": 0.01, "j_per_output_token": 0.1,
        "prompt_source": "whole", "output_source": "whole", "mean_energy_j": 10.0, "residual_spread_j": 0.1,
        "median_absolute_error_j": 0.1, "prompt_tokens_least": 50, "prompt_tokens_most": 400, "output_tokens_least": 20,
        "output_tokens_most": 90, "characters_per_token": 3.0, "template_tokens": 20.0,
    }  # fmt: skip
    return EnergyFit.objects.create(deployment=deployment, **{**values, **facts})
