"""One live request of the demo, whose answer tells what it was expected to cost and what it was measured to."""

import httpx

from benchmarks.units import grams_to_milligrams

PROMPT = "Why is the sky blue? Answer in one sentence."
_PATIENCE_S = 120.0


def live_reply(*, address: str, key: str) -> str:
    """Ask the endpoint for a measured answer; return in words what came of it, or why nothing did."""
    try:
        response = httpx.post(
            f"{address}/v1/chat/completions",
            json={"model": "auto", "max_tokens": 64, "messages": [{"role": "user", "content": PROMPT}]},
            headers={"Authorization": f"Bearer {key}", "X-GreenLLM-Measure": "yes"},
            timeout=_PATIENCE_S,
            trust_env=False,
        )
        response.raise_for_status()
        told = response.json()["greenllm"]
    except httpx.HTTPError as error:
        return f"The endpoint did not answer a live request ({error}); see the log of the web server."
    predicted = _milligrams(told["predicted_sci_gco2e"], told["predicted_quality"])
    if "X-GreenLLM-Measured-GCO2e" not in response.headers:
        return (
            f"A live request to auto: {told['model']} answered; predicted {predicted}, and not measured, because the "
            f"machine does something else or GREENLLM_MEASURE_EVERY is 0."
        )
    measured = _milligrams(told["sci_gco2e"], told["quality"])
    return (
        f"A live request to auto: {told['model']} answered; predicted {predicted}, then {measured} "
        f"by {told['method']}. GET /v1/greenllm/requests/{told['request_id']} tells it again."
    )


def _milligrams(sci_gco2e: float | None, quality: str) -> str:
    return "nothing" if sci_gco2e is None else f"{grams_to_milligrams(sci_gco2e):.3g} mgCO2e ({quality})"
