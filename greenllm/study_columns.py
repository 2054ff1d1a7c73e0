"""The finished answers of a study as columns of numbers: for its report, and for two studies side by side.

A study may have a hundred thousand answers and more, so that they come in one query, a column each, and of those of a
study that was asked for before only what changed since.
"""

from collections.abc import Collection

import numpy as np

from benchmarks.binary_reading import binary_cursor
from benchmarks.models import Study
from greenllm.answer_columns import Columns, Words
from labeling.packing import fewest_bytes, packed_columns, unpacked_columns, unpacked_floats, unpacked_whole, widened
from labeling.renewing import Packing, Renewals, Touched, renewed

_WHOLE = {
    "id": "response.id", "prompt": "response.prompt_id", "model": "deployment.language_model_id",
    "category": "prompt.category_id", "is_validation": "(prompt.role = 'validation')::int",
    "is_measured": "(measurement.id IS NOT NULL)::int",
}  # fmt: skip
_FLOATS = {
    "energy": "measurement.energy_j",
    "net": "measurement.net_energy_j",
    "sci": "measurement.sci_gco2e",
    "duration": "measurement.time_reserved_s",
    "tokens": "response.output_token_count",
    "vote": "CASE answer.verdict WHEN 'correct' THEN 1 WHEN 'incorrect' THEN -1 ELSE 0 END",
    "intensity": "measurement.carbon_intensity_gco2e_per_kwh",
    "embodied": "measurement.total_embodied_emissions_gco2e",
    "lifespan": "measurement.expected_lifespan_s",
    "share": "measurement.resource_share",
}
_WORDS = {
    "quality": "measurement.quality", "boundary": "measurement.boundary", "method": "measurement.method_version",
    "intensity_source": "measurement.carbon_intensity_source", "machine": "machine.name",
    "verdict_source": "answer.verdict_source",
}  # fmt: skip
# numbers as Postgres has them in memory, 8 bytes each: rows of a hundred thousand answers would take a second to read;
# each column is in the order in which the rows come, and numpy sorts faster than Postgres
_PACKED = ", ".join(
    [f"string_agg(int8send({name}), '')" for name in _WHOLE]
    + [f"string_agg(float8send(coalesce({name}, 'NaN')), '')" for name in _FLOATS]
    + [f"array_agg({name})" for name in _WORDS]
)
_SELECTED = ", ".join(
    [f"({sql})::bigint AS {name}" for name, sql in _WHOLE.items()]
    + [f"({sql})::float8 AS {name}" for name, sql in _FLOATS.items()]
    + [f"coalesce({sql}, '') AS {name}" for name, sql in _WORDS.items()]
)
_SOME = "AND response.id = ANY(%(ids)s) AND answer.response_id = ANY(%(ids)s)"
_ANSWERS = f"""
SELECT {_PACKED} FROM (
    SELECT {_SELECTED}
    FROM benchmarks_response AS response
    JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
    JOIN benchmarks_deployment AS deployment ON deployment.id = response.deployment_id
    JOIN labeling_currentanswer AS answer ON answer.response_id = response.id AND answer.study_id = %(study)s
    LEFT JOIN benchmarks_measurement AS measurement ON measurement.id = response.measurement_id
    LEFT JOIN benchmarks_machine AS machine ON machine.id = measurement.machine_id
    WHERE response.study_id = %(study)s AND response.state = 'finished' {{only}}
) AS finished
"""  # noqa: S608 - put together of constants


def _packed(answers: Columns) -> bytes:
    words = {name: column.places for name, column in answers.words.items()}
    whole = {name: fewest_bytes(column) for name, column in (answers.whole | words).items()}
    return packed_columns(whole | answers.values, {name: column.words for name, column in answers.words.items()})


def _unpacked(packed: bytes) -> Columns:
    columns, words = unpacked_columns(packed)
    return Columns(
        {name: widened(columns[name]) for name in _WHOLE},
        {name: columns[name] for name in _FLOATS},
        {name: Words(widened(columns[name]), tuple(words[name])) for name in _WORDS},
    )


PACKING = Packing(_packed, _unpacked, len)
_LATEST = Renewals(most=4, packing=PACKING)  # studies: some twenty megabytes for a hundred thousand answers


def study_columns(study: Study) -> Columns:
    """Return the finished answers of a study, in two queries, whatever their number; nobody may change them.

    Those of the studies asked for last are kept in memory: after a change only the answers that changed are read.
    """
    return renewed(
        ("study_columns", study.pk),
        lambda: _read(study),
        lambda before, touched: _renewed(study, before, touched),
        studies=[study.pk],
        renewals=_LATEST,
    )


def _read(study: Study, ids: Collection[int] | None = None) -> Columns:
    """Read the finished answers of a study, or those of some ids."""
    query = _ANSWERS.format(only="" if ids is None else _SOME)
    with binary_cursor() as cursor:
        cursor.execute(query, {"study": study.pk, "ids": list(ids or ())})
        packed = cursor.fetchone()
    whole, floats, words = packed[: len(_WHOLE)], packed[len(_WHOLE) : -len(_WORDS)], packed[-len(_WORDS) :]
    read = Columns(
        {name: unpacked_whole(column) for name, column in zip(_WHOLE, whole, strict=True)},
        {name: unpacked_floats(column) for name, column in zip(_FLOATS, floats, strict=True)},
        {name: Words.of(column or []) for name, column in zip(_WORDS, words, strict=True)},
    )
    return read.at(np.argsort(read.whole["id"]))


def _renewed(study: Study, before: Columns, touched: Touched) -> Columns:
    """Return the answers with those that changed read anew."""
    return before.renewed(touched.response_ids, _read(study, touched.response_ids))
