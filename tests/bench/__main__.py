"""Print every figure of the meters beside its target: `make bench-meters`."""

import argparse
import logging
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")
PARTS = ("sampler", "codecarbon", "energy", "study", "storage")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=0.5, help="Of sampling on the idle machine; 10 for the full.")
    parser.add_argument("--starts", type=int, default=40, help="Answers of each length for each meter.")
    parser.add_argument("--answers", type=int, default=30, help="Of the study of 2 s each; 200 for the full.")
    parser.add_argument("--samples", type=int, default=1_000_000, help="Stored; 127000000 for the full tenth.")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    options = parser.parse_args()

    import django

    from tests import environment  # noqa: F401  a var directory of the tests' own, before settings are read

    django.setup()
    logging.disable(logging.WARNING)
    from tests.bench import accuracy, punctuality
    from tests.bench.table import Table

    table = Table()
    print(f"load of the machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")  # noqa: T201
    if "sampler" in options.only:
        punctuality.run(table, minutes=options.minutes)
    if "codecarbon" in options.only:
        punctuality.run_codecarbon(table, seconds=60 * options.minutes)
    if "energy" in options.only:
        accuracy.run(table, starts=options.starts)
    if {"study", "storage"} & set(options.only):
        _with_database(table, options)
    print(f"missed: {', '.join(table.missed) or 'none'}")  # noqa: T201
    return 0


def _with_database(table: object, options: argparse.Namespace) -> None:
    """Run what needs Postgres in a database that is thrown away."""
    from django.conf import settings
    from django.test.utils import setup_databases, teardown_databases

    from greenllm.embedded.catalog import embedded_services
    from greenllm.embedded.supervisor import Supervisor
    from tests.bench import storage, studies

    with Supervisor(settings.EMBEDDED, embedded_services(settings.EMBEDDED, ["postgres", "valkey"])):
        former = setup_databases(verbosity=0, interactive=False)
        try:
            if "study" in options.only:
                studies.run(table, answers=options.answers, seconds=2.0)
            if "storage" in options.only:
                storage.run(table, samples=options.samples)
        finally:
            teardown_databases(former, verbosity=0)


if __name__ == "__main__":
    raise SystemExit(main())
