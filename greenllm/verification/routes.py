"""Whether the router's index, decisions and budgets fit the rows that they are about."""

from collections.abc import Iterable

import numpy as np

from greenllm.verification.tally import Tally
from router.index import IndexStoreError, VectorStore
from router.models import IndexedPrompt, PromptIndex
from router.vectors import Matrix

_STRANGE_DECISIONS = """
SELECT 'decision ' || decision.id || ': ' || told.wrong
FROM router_routingdecision AS decision CROSS JOIN LATERAL (
    SELECT count(*) AS known_count,
        count(*) FILTER (WHERE (one ->> 'is_chosen')::boolean) AS chosen_count,
        count(*) FILTER (WHERE (one ->> 'deployment_id')::bigint = decision.chosen_id) AS own_count,
        count(*) FILTER (
            WHERE (one ->> 'is_chosen')::boolean AND (one ->> 'deployment_id')::bigint <> decision.chosen_id
        ) AS other_count,
        count(*) FILTER (WHERE NOT EXISTS (
            SELECT 1 FROM benchmarks_deployment WHERE id = (one ->> 'deployment_id')::bigint
        )) AS unknown_count,
        count(*) FILTER (
            WHERE (one ->> 'p')::float NOT BETWEEN 0 AND 1 OR (one ->> 'sci_gco2e')::float < 0
        ) AS odd_count
    FROM jsonb_array_elements(decision.candidates) AS one
) AS held CROSS JOIN LATERAL (VALUES
    (other_count > 0, 'a candidate is marked as chosen that is not the chosen model'),
    (chosen_count > 1, 'several candidates are marked as chosen'),
    (known_count > 0 AND own_count = 0, 'the chosen model is none of its candidates'),
    (own_count > 1, 'the chosen model is a candidate twice'),
    (unknown_count > 0, 'a candidate is no model of the federation'),
    (odd_count > 0, 'a candidate has a probability beyond 0 to 1, or a negative SCI')
) AS told (is_so, wrong)
WHERE told.is_so
"""
# What a budget spent cannot be reckoned anew, because the price of a token was that of the moment; that every booking
# has its request can be. A budget that came in the middle of its time counts fewer requests than there were.
_OVERBOOKED = """
SELECT 'key ' || booked.api_key_id || ', ' || booked.began_at || ': ' || booked.request_count
    || ' requests are booked and ' || made.request_count || ' were made, for ' || booked.spent_gco2e || ' gCO2e'
FROM (
    SELECT api_key_id, began_at, began_at + interval '1 hour' AS ended_at, request_count, spent_gco2e
    FROM router_keyhour
    UNION ALL
    SELECT api_key_id, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC', request_count,
        spent_gco2e
    FROM router_keyday
) AS booked CROSS JOIN LATERAL (
    SELECT count(*) AS request_count FROM router_gatewayrequest AS request
    LEFT JOIN router_routingdecision AS decision ON decision.request_id = request.id
    WHERE request.api_key_id = booked.api_key_id AND (
        (request.started_at >= booked.began_at AND request.started_at < booked.ended_at)
        OR (decision.decided_at >= booked.began_at AND decision.decided_at < booked.ended_at)
    )
) AS made
WHERE booked.request_count > made.request_count OR (booked.spent_gco2e > 0 AND booked.request_count = 0)
    OR booked.spent_gco2e = 'NaN' OR booked.spent_gco2e = 'Infinity'
"""


def check_index(*, store: VectorStore) -> Tally:
    """Hold the vectors in Chroma against the rows of the current index; one that cannot be asked is broken, too."""
    tally = Tally()
    index = PromptIndex.objects.filter(state=PromptIndex.State.CURRENT).first()
    if index is None:
        return tally
    wanted = set(IndexedPrompt.objects.filter(index=index).values_list("prompt_id", flat=True))
    tally.look(len(wanted))
    if len(wanted) != index.prompt_count:
        tally.broken(f"{index} has {len(wanted)} rows of prompts")
    try:
        _hold(tally, wanted, index, store.pages(index.collection_name))
    except IndexStoreError as error:
        tally.broken(f"{index} cannot be looked at: {error}")
    return tally


def check_decisions() -> Tally:
    """Look for a decision whose candidates do not have what it chose."""
    tally = Tally()
    tally.sentences(_STRANGE_DECISIONS, of="router_routingdecision")
    return tally


def check_budgets() -> Tally:
    """Look for bookings on a key that no request of it made."""
    tally = Tally()
    tally.sentences(_OVERBOOKED, of="(SELECT 1 FROM router_keyhour UNION ALL SELECT 1 FROM router_keyday) AS booked")
    return tally


def _hold(tally: Tally, wanted: set[int], index: PromptIndex, pages: Iterable[tuple[list[int], Matrix]]) -> None:
    missing = set(wanted)
    for ids, rows in pages:
        for prompt_id in ids:
            if prompt_id not in wanted:
                tally.broken(f"Chroma holds a vector of prompt {prompt_id}, which {index} does not know")
        missing -= set(ids)
        if rows.shape[1] != index.dimension:
            tally.broken(f"Chroma holds vectors of {rows.shape[1]} numbers, {index} is of {index.dimension}")
        for prompt_id, is_whole in zip(ids, np.atleast_1d(np.isfinite(rows).all(axis=1)), strict=True):
            if not is_whole:
                tally.broken(f"the vector of prompt {prompt_id} is not of numbers")
    for prompt_id in sorted(missing):
        tally.broken(f"Chroma holds no vector of prompt {prompt_id}")
