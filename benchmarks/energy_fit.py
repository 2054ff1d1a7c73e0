"""How the energy of an answer grows with its prompt and its own length, fitted to answers that were measured. Pure.

    E = fixed + a * prompt tokens + b * output tokens,   all three at least 0, E in J

Reading the prompt (prefill) and writing the answer (decode) are different work, so that each has its coefficient. Where
the samples show a phase by itself, its coefficient is fitted to the energy of that phase; else to the whole energy, by
least squares with coefficients not below 0 and Huber's weights, so that a few odd answers do not bend the line. Where
all prompts are of about one length, the whole energy cannot tell what a longer one costs, and `a` is None.

Attention makes prefill grow a little faster than the prompt; within a few thousand tokens a line is close enough, and
what it misses shows in the residuals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import mean, median

import numpy as np
import numpy.typing as npt

LEAST_ANSWERS = 8
LEAST_VARIATION = 1.5  # longest by shortest; below it a length explains nothing
# of prompts in the whole energy: they vary with the kind of task, and would else take what is fixed for their own
LEAST_PROMPT_VARIATION = 3.0
LEAST_LOAD_S = 0.2  # a shorter wait says that the model was in memory already

_HUBER = 1.345  # residuals beyond so many spreads weigh less; 95 % efficient for normal ones
_MAD_TO_SPREAD = 1.4826  # of a normal distribution
_OUTLIER_SPREADS = 4.0
_STEPS = 50
_TINY = 1e-12

Floats = npt.NDArray[np.float64]


class TooFewAnswers(ValueError):
    """There are not enough measured answers to fit."""


class Source(StrEnum):
    """What a coefficient was fitted to."""

    TRACE = "trace"
    WHOLE = "whole"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Answered:
    """One measured answer; `prefill_j` and `decode_j` (J) where the samples show the phase by itself."""

    characters: int
    prompt_tokens: int
    output_tokens: int
    energy_j: float
    prefill_j: float | None = None
    decode_j: float | None = None


@dataclass(frozen=True, slots=True)
class LengthFit:
    """Coefficients in J and J/token, how well they fit, and the lengths that they were seen on.

    `residual_spread_j` is 1.4826 times the median distance of the residuals from their median, the standard deviation
    of a normal distribution; `r_squared` is that of all answers, None where their energies are alike. A prompt of c
    characters has about `template_tokens + c / characters_per_token` tokens.
    """

    fixed_j: float
    j_per_prompt_token: float | None
    j_per_output_token: float | None
    prompt_source: Source
    output_source: Source
    answer_count: int
    prefill_count: int
    decode_count: int
    outlier_count: int
    residual_spread_j: float
    median_absolute_error_j: float
    r_squared: float | None
    prompt_tokens_least: int
    prompt_tokens_most: int
    output_tokens_least: int
    output_tokens_most: int
    mean_energy_j: float
    characters_per_token: float
    template_tokens: float

    def energy_j(self, prompt_tokens: float, output_tokens: float) -> float:
        """Return the energy (J) that the fit expects of an answer; an unknown coefficient counts nothing."""
        return energy_j(
            fixed_j=self.fixed_j,
            j_per_prompt_token=self.j_per_prompt_token,
            j_per_output_token=self.j_per_output_token,
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
        )


def energy_j(
    *,
    fixed_j: float,
    j_per_prompt_token: float | None,
    j_per_output_token: float | None,
    prompt_tokens: float,
    output_tokens: float,
) -> float:
    """Return fixed + a * prompt tokens + b * output tokens (J); an unknown coefficient counts nothing."""
    return fixed_j + (j_per_prompt_token or 0.0) * prompt_tokens + (j_per_output_token or 0.0) * output_tokens


def fit_lengths(answers: Sequence[Answered]) -> LengthFit:
    """Fit the energy of answers against their lengths.

    Raises:
        TooFewAnswers: there are fewer than eight.
    """
    if len(answers) < LEAST_ANSWERS:
        raise TooFewAnswers(
            f"{len(answers)} measured answers with token counts are too few; {LEAST_ANSWERS} are needed."
        )
    prompts = np.array([one.prompt_tokens for one in answers], dtype=np.float64)
    outputs = np.array([one.output_tokens for one in answers], dtype=np.float64)
    energies = np.array([one.energy_j for one in answers], dtype=np.float64)
    prefills = [(one.prompt_tokens, one.prefill_j) for one in answers if one.prefill_j is not None]
    decodes = [(one.output_tokens, one.decode_j) for one in answers if one.decode_j is not None]
    of_prompt, of_output = _of_phase(prefills), _of_phase(decodes)
    prompt_source = Source.WHOLE if of_prompt is None else Source.TRACE
    output_source = Source.WHOLE if of_output is None else Source.TRACE
    columns = [np.ones(len(answers))]
    if of_prompt is None and _varies(prompts, LEAST_PROMPT_VARIATION):
        columns.append(prompts)
    if of_output is None and _varies(outputs):
        columns.append(outputs)
    rest = energies - (of_prompt or 0.0) * prompts - (of_output or 0.0) * outputs
    found = robust_coefficients(np.column_stack(columns), rest)
    fitted = iter(found[1:])
    if of_prompt is None:
        of_prompt, prompt_source = (
            (float(next(fitted)), Source.WHOLE) if _varies(prompts, LEAST_PROMPT_VARIATION) else (None, Source.NONE)
        )
    if of_output is None:
        of_output, output_source = (float(next(fitted)), Source.WHOLE) if _varies(outputs) else (None, Source.NONE)
    fixed = float(found[0])
    residuals = energies - fixed - (of_prompt or 0.0) * prompts - (of_output or 0.0) * outputs
    spread = _spread(residuals)
    per_token, template = fit_tokens([(one.characters, one.prompt_tokens) for one in answers])
    return LengthFit(
        fixed_j=fixed,
        j_per_prompt_token=of_prompt,
        j_per_output_token=of_output,
        prompt_source=prompt_source,
        output_source=output_source,
        answer_count=len(answers),
        prefill_count=len(prefills),
        decode_count=len(decodes),
        outlier_count=int((np.abs(residuals) > _OUTLIER_SPREADS * max(spread, _TINY)).sum()),
        residual_spread_j=spread,
        median_absolute_error_j=float(np.median(np.abs(residuals))),
        r_squared=_r_squared(energies, residuals),
        prompt_tokens_least=int(prompts.min()),
        prompt_tokens_most=int(prompts.max()),
        output_tokens_least=int(outputs.min()),
        output_tokens_most=int(outputs.max()),
        mean_energy_j=float(energies.mean()),
        characters_per_token=per_token,
        template_tokens=template,
    )


def fit_tokens(lengths: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Return characters per token and the tokens of the template around each prompt, of (characters, tokens) pairs."""
    characters = np.array([one for one, _ in lengths], dtype=np.float64)
    tokens = np.array([one for _, one in lengths], dtype=np.float64)
    if _varies(characters):
        template, per_character = robust_coefficients(np.column_stack([np.ones(len(lengths)), characters]), tokens)
        if per_character > _TINY:
            return float(1 / per_character), float(template)
    return float(characters.sum() / max(tokens.sum(), 1.0)), 0.0


def robust_coefficients(columns: Floats, target: Floats) -> Floats:
    """Return the coefficients, none below 0, of a sum of columns (n, k) that meets the target (n,), by Huber's rule.

    Source: Huber, Robust estimation of a location parameter (1964), by iterated weights; Lawson and Hanson's
    non-negative least squares.
    """
    from scipy.optimize import nnls  # takes a while to import

    scales = np.maximum(np.abs(columns).max(axis=0), _TINY)
    scaled = columns / scales
    weights = np.ones(len(target))
    coefficients = np.zeros(columns.shape[1])
    for _ in range(_STEPS):
        before, root = coefficients, np.sqrt(weights)
        coefficients, _ = nnls(scaled * root[:, None], target * root)
        residuals = np.abs(target - scaled @ coefficients)
        spread = _MAD_TO_SPREAD * float(np.median(residuals))
        if spread < _TINY * max(1.0, float(np.abs(target).max())) or np.allclose(coefficients, before, rtol=1e-9):
            break
        weights = np.minimum(1.0, _HUBER * spread / np.maximum(residuals, _TINY))
    found: Floats = coefficients / scales
    return found


def load_duration_s(waits_s: Sequence[float]) -> float | None:
    """Return how long a model takes to load (s): the median of the waits that were loads, None where none was."""
    loads = load_waits_s(waits_s)
    return median(loads) if loads else None


def load_waits_s(waits_s: Sequence[float]) -> list[float]:
    """Return the waits (s) that were loads.

    A server answers within milliseconds that a model is in memory already, and a study waits before each response.
    """
    return [wait for wait in waits_s if wait >= LEAST_LOAD_S]


def mean_power_w(powers: Sequence[tuple[float, float]]) -> float | None:
    """Return the mean power (W) of answers given as (energy J, time s); None where none has a time."""
    known = [(energy, time) for energy, time in powers if time > 0]
    return mean(energy for energy, _ in known) / mean(time for _, time in known) if known else None


def _of_phase(lengths: Sequence[tuple[int, float]]) -> float | None:
    """Return the J/token of a phase; None where too few answers show it."""
    if len(lengths) < LEAST_ANSWERS:
        return None
    tokens = np.array([one for one, _ in lengths], dtype=np.float64)
    energies = np.array([one for _, one in lengths], dtype=np.float64)
    if _varies(tokens):
        return float(robust_coefficients(np.column_stack([np.ones(len(lengths)), tokens]), energies)[1])
    return float(np.median(energies / np.maximum(tokens, 1.0)))


def _varies(lengths: Floats, least: float = LEAST_VARIATION) -> bool:
    return bool(lengths.max() >= least * max(float(lengths.min()), 1.0))


def _spread(residuals: Floats) -> float:
    return _MAD_TO_SPREAD * float(np.median(np.abs(residuals - np.median(residuals))))


def _r_squared(energies: Floats, residuals: Floats) -> float | None:
    total = float(((energies - energies.mean()) ** 2).sum())
    return None if total < _TINY else 1 - float((residuals**2).sum()) / total
