"""The kept cluster of the tests is that of the migrations as they are."""

from pathlib import Path

import pytest
from django.core.management import call_command

from tests.environment import ROOT
from tests.migrated import ALSO, PACKAGES, digest_of, migration_sources


def write(root: Path, name: str, text: str = "") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


class TestMigrationSources:
    def test_are_the_migrations_and_whatever_they_import(self, tmp_path: Path) -> None:
        first = write(
            tmp_path, "greenllm/migrations/0001_first.py", "import benchmarks.models.rollups\nimport django\n"
        )
        later = write(tmp_path, "router/migrations/0002_later.py", "from benchmarks import units\n")
        package = write(tmp_path, "benchmarks/__init__.py")
        models = write(tmp_path, "benchmarks/models/__init__.py", "def late():\n    from labeling.keys import KEYS\n")
        rollups = write(tmp_path, "benchmarks/models/rollups.py", "from benchmarks.models import Study\n")
        units, keys = write(tmp_path, "benchmarks/units.py"), write(tmp_path, "labeling/keys.py")
        write(tmp_path, "router/gateway.py", "from router.migrations import 0001\n")
        assert set(migration_sources(tmp_path)) == {first, later, package, models, rollups, units, keys}

    def test_have_every_migration(self) -> None:
        assert {
            path for one in PACKAGES for path in (ROOT / one / "migrations").iterdir() if path.suffix == ".py"
        } <= set(migration_sources(ROOT))


def test_digest_changes_with_each_of_the_files(tmp_path: Path) -> None:
    names = ["labeling/migrations/0001_first.py", *ALSO]
    for name in names:
        write(tmp_path, name)
    found = [digest_of(tmp_path)]
    for name in names:
        write(tmp_path, name, "# changed")
        found.append(digest_of(tmp_path))
    assert len(set(found)) == len(names) + 1


@pytest.mark.django_db
def test_no_migration_is_left_to_run() -> None:
    call_command("migrate", check_unapplied=True, verbosity=0)  # ends the process where one is
