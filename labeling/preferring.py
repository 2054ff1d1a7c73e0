"""How a person likes the labeling page: their keys, whether keys count, whether references come open."""

from collections.abc import Mapping

from labeling.assigning import annotator_of
from labeling.keys import changed_keys
from labeling.models import Annotator


def set_preferences(
    *, person_id: int, fresh_seed: int, keys: Mapping[str, str], keys_on: bool, reference_shown: bool
) -> Annotator:
    """Keep a person's keys and switches; the caller has made sure that each key can be used."""
    annotator = annotator_of(person_id=person_id, fresh_seed=fresh_seed)
    annotator.keys, annotator.keys_on, annotator.reference_shown = changed_keys(keys), keys_on, reference_shown
    annotator.save(update_fields=["keys", "keys_on", "reference_shown"])
    return annotator


def switch_keys(*, person_id: int, fresh_seed: int, keys_on: bool) -> None:
    """Switch a person's keys on or off, and leave which they are."""
    annotator = annotator_of(person_id=person_id, fresh_seed=fresh_seed)
    annotator.keys_on = keys_on
    annotator.save(update_fields=["keys_on"])
