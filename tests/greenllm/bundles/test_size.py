"""A large study goes out and in with flat memory."""

import os
import subprocess
import sys

import pytest
from django.db import connection

from benchmarks.models import Response, Study
from tests import factories as make
from tests.greenllm.bundles.rich_studies import wipe

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

COUNT = int(os.environ.get("GREENLLM_TEST_BUNDLE_RESPONSES", "6000"))
# many rows in SQL: each a finished, measured answer with a trace of 100 samples
FILL = """
WITH measured AS (
  INSERT INTO benchmarks_measurement (purpose, machine_id, energy_j, quality, missing_reason, boundary, time_reserved_s,
    is_low_precision, is_shared, method_version, carbon_intensity_source)
  SELECT 'response', %(machine)s, n / 7.0, 'measured', '', 'machine', 1.0, false, false, '', ''
  FROM generate_series(1, %(count)s) n
  RETURNING id
), numbered AS (SELECT id, row_number() OVER (ORDER BY id) AS n FROM measured
), traced AS (
  INSERT INTO benchmarks_energytrace (measurement_id, channel, format_version, quantity, period_ns, window_ns,
    first_at_ns, offset_unit_ns, sample_count, offsets, values)
  SELECT id, 'machine', 1, 'power_mw', 99000000, 99000000, 1, 1000, 100,
    array(SELECT (random() * 1000)::int::smallint FROM generate_series(1, 100) WHERE id > 0),
    array(SELECT (random() * 100000)::int FROM generate_series(1, 100) WHERE id > 0)
  FROM numbered
)
INSERT INTO benchmarks_response (study_id, deployment_id, prompt_id, parameter_set_id, repeat, sequence, state, error,
  text, thinking_text, answered_by, gateway_request_public_id, done_reason, measurement_id, finished_at)
SELECT %(study)s, %(deployment)s, %(prompt)s, %(parameters)s, 1 + n %% 30000, n, 'finished', '',
  repeat(md5(n::text), 10), '', '', '', 'stop', id, now() FROM numbered
"""
TRAVEL = """
import sys, django
from datetime import UTC, datetime
django.setup()
from benchmarks.models import Study
from greenllm.bundles.carriage import pack_study_at, unpack_study
from pathlib import Path
path, way = Path(sys.argv[1]), sys.argv[2]
def peak_kb():  # of this process alone: ru_maxrss starts with that of the parent
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
base = peak_kb()
if way == "out":
    pack_study_at(study=Study.objects.get(), path=path, now=datetime.now(UTC))
else:
    with path.open("rb") as file:
        unpack_study(file=file, now=datetime.now(UTC))
print(base, peak_kb())
"""


def growth_mb(path: str, way: str) -> float:
    """Return by how much a process of its own grows while it carries the study."""
    parameters = connection.get_connection_params()
    address = f"postgresql://{parameters.get('user')}:{parameters.get('password') or ''}@/{parameters['dbname']}"
    address += f"?host={parameters['host']}" + (f"&port={parameters['port']}" if parameters.get("port") else "")
    run = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", TRAVEL, path, way],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "greenllm.settings", "DATABASE_URL": address},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    before, after = map(int, run.stdout.split())
    return (after - before) / 1024


class TestLargeStudy:
    def test_goes_out_and_in_with_flat_memory(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        study = make.make_study("large", state=Study.State.FINISHED)
        deployment, prompt = make.make_deployment(), make.make_prompt()
        with connection.cursor() as cursor:
            cursor.execute(
                FILL,
                {
                    "machine": study.machine_id, "study": study.pk, "deployment": deployment.pk, "prompt": prompt.pk,
                    "parameters": study.parameter_sets.get().pk, "count": COUNT,
                },
            )  # fmt: skip
        path = tmp_path_factory.mktemp("large") / "large.zip"
        out_mb = growth_mb(str(path), "out")
        wipe()
        in_mb = growth_mb(str(path), "in")
        print(f"{COUNT:,} responses: +{out_mb:.0f} MB out, +{in_mb:.0f} MB in, {path.stat().st_size:,} bytes")  # noqa: T201
        assert Response.objects.count() == COUNT
        assert out_mb < 40
        assert in_mb < 60
