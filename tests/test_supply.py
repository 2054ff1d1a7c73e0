"""What packages are locked, and what is said of them."""

import importlib.util
import json
import re
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCK_OF = {
    "requirements.txt": ("requirements.lock", "requirements-dev.lock"),
    "requirements-dev.txt": ("requirements-dev.lock",),
    "requirements-models.txt": ("requirements-models.lock",),
    "requirements-supply.txt": ("requirements-supply.lock",),
}
PINNED = re.compile(r"^([A-Za-z0-9][\w.\-]*)(?:\[[^]]*])?==([^\s;\\]+)", re.MULTILINE)


@pytest.fixture(scope="module")
def supply() -> ModuleType:
    spec = importlib.util.spec_from_file_location("supply", ROOT / "tools" / "supply.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pinned(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text(encoding="utf8")
    return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in PINNED.findall(text)}


class TestLocks:
    @pytest.mark.parametrize("name", LOCK_OF)
    def test_hold_what_is_required(self, name: str) -> None:
        """After a change of requirements: `make lock`."""
        for lock in LOCK_OF[name]:
            assert pinned(name).items() <= pinned(lock).items(), lock

    def test_hold_what_runs_as_it_is_tested(self) -> None:
        assert pinned("requirements.lock").items() <= pinned("requirements-dev.lock").items()

    @pytest.mark.parametrize("name", sorted({lock for locks in LOCK_OF.values() for lock in locks}))
    def test_name_a_hash_of_every_package(self, name: str) -> None:
        entries = re.split(r"^(?=[A-Za-z0-9])", (ROOT / name).read_text(encoding="utf8"), flags=re.MULTILINE)[1:]
        assert entries
        assert not [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry]

    def test_can_be_read_without_hashes(self, tmp_path: Path) -> None:
        spec = importlib.util.spec_from_file_location("install", ROOT / "tools" / "install.py")
        assert spec is not None
        assert spec.loader is not None
        install = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(install)

        text = Path(install.unhashed(ROOT / "requirements.lock", tmp_path)).read_text(encoding="utf8")

        assert "--hash" not in text
        assert not [line for line in text.splitlines() if line.endswith("\\")]
        assert (
            dict(PINNED.findall(text)).keys() == dict(PINNED.findall((ROOT / "requirements.lock").read_text())).keys()
        )


class TestLicences:
    def test_of_what_is_installed_are_allowed(self, supply: ModuleType) -> None:
        installed = {supply.normal(one.metadata["Name"]): one.metadata for one in metadata.distributions()}
        locked = supply.locked_versions((ROOT / name).read_text(encoding="utf8") for name in supply.LOCKS)
        assert len(locked.keys() & installed.keys()) > 100
        assert supply.license_problems(locked, installed) == []

    @pytest.mark.parametrize(
        ("expression", "is_allowed"),
        [
            ("MIT", True),
            ("GPL-3.0-only", False),
            ("GPL-3.0-only OR MIT", True),
            ("MIT AND GPL-3.0-only", False),
            ("MIT OR Apache-2.0 AND GPL-3.0-only", True),
            ("MPL-2.0 AND (GPL-3.0-only OR MIT)", True),
            ("(MIT OR ISC) AND GPL-3.0-only", False),
            ("GPL-3.0-only WITH GCC-exception-3.1", False),
            ("(MIT", False),
            ("MIT )", False),
            ("", False),
            ("AND MIT", False),
        ],
    )
    def test_leave_a_choice_that_is_allowed(self, supply: ModuleType, expression: str, is_allowed: bool) -> None:
        assert supply.is_allowed(expression) is is_allowed

    @pytest.mark.parametrize(
        ("facts", "expression"),
        [
            ({"License-Expression": "MIT", "License": "other"}, "MIT"),
            ({"License": "Apache License, Version 2.0"}, "Apache-2.0"),
            ({"License": "MIT License\n\nCopyright"}, "MIT"),
            ({"License": "Copyright\nAll rights", "Classifier": ["License :: OSI Approved :: MIT License"]}, "MIT"),
            ({"Classifier": ["License :: Other/Proprietary License"]}, "Other/Proprietary License"),
            ({"Classifier": ["License :: OSI Approved"]}, ""),
            ({}, ""),
        ],
    )
    def test_are_read_from_metadata(self, supply: ModuleType, facts: dict[str, object], expression: str) -> None:
        assert supply.licence_of(facts) == expression

    def test_that_are_not_allowed_are_told(self, supply: ModuleType) -> None:
        said = {"a": {"License": "GPL-3.0-only"}, "b": {}, "c": {"License": "MIT"}}
        assert supply.license_problems(["a", "b", "c", "elsewhere"], said) == ["a: GPL-3.0-only", "b: says no licence"]


class TestAudit:
    def test_that_was_not_done_is_skipped(self, supply: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
        assert supply.read_audit("a.lock", "", "trace\nConnectionError: no route")
        assert capsys.readouterr().out == "audit a.lock: SKIPPED, not checked: ConnectionError: no route\n"

    def test_tells_of_each_package_what_is_known(self, supply: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
        told = [
            {"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]},
            {"name": "b", "version": "1", "vulns": []},
            {"name": "c", "skip_reason": "not on the index"},
        ]
        assert not supply.read_audit("a.lock", json.dumps({"dependencies": told}), "")
        said = capsys.readouterr().out
        assert "1 FOUND" in said
        assert "a 1: CVE-1, fixed in 2" in said
        assert "SKIPPED c, not checked" in said


class TestDrift:
    def test_is_another_version_or_one_that_is_not_locked(self, supply: ModuleType) -> None:
        installed = {"a": "1", "b": "2", "c": "1", "pip": "9"}
        assert supply.drift({"a": "1", "b": "1", "d": "1"}, installed) == ["b 2: locked is 1", "c 1: in no lock"]
