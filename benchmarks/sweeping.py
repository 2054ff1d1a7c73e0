"""A sweep: one study with a grid of generation parameters, and what varies in it."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from itertools import product

from benchmarks.models import ParameterSet
from benchmarks.study_plan import Parameters, StudyError

Number = int | float

MAX_POINTS = 200
WHOLE_PARAMETERS = frozenset({"seed", "num_ctx", "num_predict", "top_k", "top_logprobs"})
NAMED_PARAMETERS = tuple(field.name for field in fields(Parameters) if field.name not in {"extras", "name"})


def parse_sweep(texts: Sequence[str]) -> dict[str, tuple[Number, ...]]:
    """Return the values of each parameter from texts like `temperature=0,0.5,1`.

    A name that no study knows is an extra, which the servers of the study take or refuse.

    Raises:
        StudyError: a text is of another form, a value is no number or comes twice, or a parameter does.
    """
    found: dict[str, tuple[Number, ...]] = {}
    for text in texts:
        name, sign, listed = text.partition("=")
        name = name.strip()
        if not sign or not name.isidentifier():
            raise StudyError(f"{text!r} is no sweep: write a parameter and its values, as in temperature=0,0.5,1.")
        if name in found:
            raise StudyError(f"The sweep names {name} more than once; give all its values together.", field=name)
        found[name] = tuple(_number(name, word.strip()) for word in listed.split(","))
    return found


def _number(name: str, word: str) -> Number:
    is_whole = name in WHOLE_PARAMETERS
    try:
        value = int(word) if is_whole else float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        wanted = "a whole number" if is_whole else "a number"
        raise StudyError(f"{word!r} is not {wanted}, as {name} takes it; separate values by commas.", field=name)
    return value


def grid_of(base: Parameters, values: Mapping[str, Sequence[Number]]) -> tuple[Parameters, ...]:
    """Return one set of parameters for each combination of the values, the parameter named last varying fastest.

    A set's name tells the values of what varies, as in `temperature=0.5, num_ctx=1024`. A parameter without a
    value stays as in `base`.

    Raises:
        StudyError: a value comes twice, or there would be more sets than anybody means.
    """
    given = {name: tuple(listed) for name, listed in values.items() if listed}
    for name, listed in given.items():
        twice = next((one for one, times in Counter(listed).items() if times > 1), None)
        if twice is not None:
            raise StudyError(f"{name} names the value {written(twice)} more than once.", field=name)
    count = math.prod(len(listed) for listed in given.values())
    if count > MAX_POINTS:
        widest = max(given, key=lambda name: len(given[name]))
        raise StudyError(
            f"The sweep would have {count:,} sets of parameters, at most {MAX_POINTS} are taken; give fewer values.",
            field=widest,
        )
    varied = [name for name, listed in given.items() if len(listed) > 1]
    points = (dict(zip(given, chosen, strict=True)) for chosen in product(*given.values()))
    return tuple(_point(base, point, varied) for point in points)


def _point(base: Parameters, point: Mapping[str, Number], varied: Sequence[str]) -> Parameters:
    named = {name: value for name, value in point.items() if name in NAMED_PARAMETERS}
    extras = {name: value for name, value in point.items() if name not in NAMED_PARAMETERS}
    words = ", ".join(f"{name}={written(point[name])}" for name in varied)
    return replace(base, **named, extras={**base.extras, **extras}, name=words[:200] or base.name)  # type: ignore[arg-type]  # whole where it must be


def written(value: Number) -> str:
    """Return a value as a person would type it."""
    return str(int(value)) if value == int(value) else repr(value)


def value_of(parameters: Parameters | ParameterSet, name: str) -> object:
    """Return what a set has for a parameter; None where it leaves it to the server."""
    return getattr(parameters, name) if name in NAMED_PARAMETERS else parameters.extras.get(name)


def varied_parameters(sets: Sequence[Parameters | ParameterSet]) -> tuple[str, ...]:
    """Return the names of the parameters that differ among the sets of a study, extras last."""
    extras = sorted({name for one in sets for name in one.extras})
    return tuple(name for name in (*NAMED_PARAMETERS, *extras) if len({repr(value_of(one, name)) for one in sets}) > 1)
