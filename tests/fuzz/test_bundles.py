"""Bundles that are whole but hold spoilt rows, as a program with a fault would write them: imported, or refused."""

import os
from random import Random

import pytest
from django.db import transaction

from benchmarks.bundling.archive import BundleError
from greenllm.bundles.carriage import unpack_study
from tests import factories as make
from tests.fuzz.mutating import changed_json
from tests.fuzz.tally import Tally, timed
from tests.fuzz.test_requests import told
from tests.greenllm.bundles.rich_studies import Row, edited, members_of, rich_bundle

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
WANTED = int(os.environ.get("GREENLLM_FUZZ_REQUESTS", "0"))
SLICE = 40


def test_are_imported_or_refused() -> None:
    random, tally = Random(3), Tally("rows of study bundles")
    names = [name.removesuffix(".jsonl") for name in members_of(rich_bundle()) if name.endswith(".jsonl")]

    def spoil(rows: list[Row]) -> None:
        if rows:
            at = random.randrange(len(rows))
            rows[at] = changed_json(random, rows[at], most=2)

    with timed(tally):
        for _ in range(WANTED // 20 if WANTED else SLICE):
            name = random.choice(names)
            try:
                file = edited(rich_bundle(), name, spoil)
            except (TypeError, AttributeError, KeyError):  # what became of the row is no row
                continue
            tally.generated += 1
            try:
                with transaction.atomic():
                    unpack_study(file=file, now=make.NOW)
                    transaction.set_rollback(True)
            except BundleError as error:
                tally.refused += 1
                if not str(error).strip():
                    tally.note("a refusal that says nothing", name)
            except Exception as error:  # noqa: BLE001  whatever it is counts
                tally.fault(error, name)
    told(tally)
