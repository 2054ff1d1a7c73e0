"""Run CodeCarbon's tracker at 1 s and print when it measured against a grid of 1 s, as JSON; runs in its own venv."""

import json
import resource
import sys
import time

from codecarbon import OfflineEmissionsTracker

seconds = float(sys.argv[1])
moments: list[float] = []
tracker = OfflineEmissionsTracker(country_iso_code="DEU", measure_power_secs=1, save_to_file=False, log_level="error")
measure = tracker._measure_power_and_energy


def noting() -> None:
    moments.append(time.monotonic())
    measure()


tracker._measure_power_and_energy = noting
tracker.start()
scheduler = getattr(tracker, "_scheduler", None)
if scheduler is not None and hasattr(scheduler, "function"):
    scheduler.function = noting
used_s, begun_s = time.process_time(), time.monotonic()
time.sleep(seconds)
core_share = (time.process_time() - used_s) / (time.monotonic() - begun_s)
tracker.stop()
origin_s = moments[0] if moments else 0.0
late_ms = sorted(1000 * (moment - origin_s - round(number)) for number, moment in enumerate(moments))
resident_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
json.dump({"late_ms": late_ms, "core_share": core_share, "resident_mb": resident_mb}, sys.stdout)
