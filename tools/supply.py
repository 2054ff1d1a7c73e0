"""What the packages bring: known vulnerabilities, licences, and a list of all of them (CycloneDX): `make supply`.

What could not be checked is told as SKIPPED, never as passed. Exit code 1 where something was found.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.prefix) / "supply" / "bin"
LOCKS = ("requirements.lock", "requirements-models.lock", "requirements-dev.lock")

# May be run and passed on beside a product of any licence. LGPL: used as it is, replaceable.
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "ISC", "LGPL-2.0-or-later",
    "LGPL-3.0-only", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib",
}  # fmt: skip
# Whose metadata say nothing, or say it wrong; and what is allowed for a reason of its own.
REASONS = {
    "axe-playwright-python": "MIT by its LICENSE; axe-core in it is MPL-2.0. Tests only",
    "click-default-group": "public domain by its classifier. Tests only, of llm",
    "krippendorff": "GPL-3.0-or-later: tests only, never passed on",
}
# What packages call their licence where it is no SPDX expression; the field License, or a classifier.
NAMED = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd 2-clause license": "BSD-2-Clause",
    "bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}


def main(sbom: Path) -> int:
    locked = locked_versions((ROOT / name).read_text(encoding="utf8") for name in LOCKS)
    installed = {normal(one.metadata["Name"]): one for one in metadata.distributions()}
    found = [
        tell("licences", license_problems(locked, {name: one.metadata for name, one in installed.items()})),
        tell("installed as locked", drift(locked, {name: one.version for name, one in installed.items()})),
        audit(),
        write_sbom(sbom, locked),
    ]
    return int(not all(found))


def tell(name: str, problems: Sequence[str]) -> bool:
    """Print the outcome of a check; return whether nothing was found."""
    print(f"{name:22} {'ok' if not problems else f'{len(problems)} FOUND'}")
    for problem in problems:
        print(f"  {problem}")
    return not problems


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked_versions(texts: Iterable[str]) -> dict[str, str]:
    """Return the version of each package that locks name, whatever the platform."""
    pinned = (re.findall(r"^([A-Za-z0-9][\w.\-]*)(?:\[[^]]*])?==([^\s;\\]+)", text, re.MULTILINE) for text in texts)
    return {normal(name): version for several in pinned for name, version in several}


def license_problems(locked: Iterable[str], metadata_of: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return the locked and installed packages whose licence is unknown or not allowed."""
    problems = []
    for name in sorted(locked):
        if name in REASONS or name not in metadata_of:
            continue
        expression = licence_of(metadata_of[name])
        if not is_allowed(expression):
            problems.append(f"{name}: {expression or 'says no licence'}")
    return problems


def licence_of(facts: Mapping[str, object]) -> str:
    """Return the SPDX expression of a package's metadata, or what it says in words; empty where it says nothing."""
    if facts.get("License-Expression"):
        return str(facts["License-Expression"])
    said, *text = str(facts.get("License") or "").strip().splitlines() or [""]  # some give the whole text
    if said and (not text or said.lower() in NAMED):
        return NAMED.get(said.lower(), said)
    get_all = getattr(facts, "get_all", None)
    classifiers = (get_all("Classifier") if get_all else facts.get("Classifier")) or []
    names = [line.split(" :: ")[-1] for line in classifiers if line.startswith("License ::")]
    return " OR ".join(NAMED.get(name.lower(), name) for name in names if name not in ("OSI Approved", "DFSG approved"))


def is_allowed(expression: str) -> bool:
    """Tell whether an SPDX expression leaves a choice of which everything is allowed.

    `AND` binds closer than `OR`, and exceptions (`WITH`) are no part of the licences that are allowed.
    """
    tokens = [token for token in re.split(r"(\s+(?:AND|OR)\s+|[()])", expression) if token.strip()]
    if not tokens:
        return False
    value, rest = _any_of([token.strip() for token in tokens])
    return value and not rest


def _any_of(tokens: list[str]) -> tuple[bool, list[str]]:
    value, rest = _all_of(tokens)
    while rest and rest[0] == "OR":
        other, rest = _all_of(rest[1:])
        value = value or other
    return value, rest


def _all_of(tokens: list[str]) -> tuple[bool, list[str]]:
    value, rest = _one(tokens)
    while rest and rest[0] == "AND":
        other, rest = _one(rest[1:])
        value = value and other
    return value, rest


def _one(tokens: list[str]) -> tuple[bool, list[str]]:
    if not tokens:
        return False, []
    if tokens[0] == "(":
        value, rest = _any_of(tokens[1:])
        return value and rest[:1] == [")"], rest[1:]
    return tokens[0] in ALLOWED, tokens[1:]


def drift(locked: Mapping[str, str], installed: Mapping[str, str]) -> list[str]:
    """Return the packages that are installed in another version than is locked, or that no lock names."""
    ours = {name: version for name, version in installed.items() if name not in ("pip", "setuptools", "wheel")}
    return [
        f"{name} {version}: " + (f"locked is {locked[name]}" if name in locked else "in no lock")
        for name, version in sorted(ours.items())
        if locked.get(name) != version
    ]


def audit() -> bool:
    """Ask OSV for known vulnerabilities of what is locked; return whether none was found, or nobody could be asked."""
    outcomes = []
    for name in LOCKS:
        done = subprocess.run(
            [BIN / "pip-audit", "--requirement", name, "--require-hashes", "--disable-pip", "--no-deps",
             "--vulnerability-service", "osv", "--format", "json", "--progress-spinner", "off", "--timeout", "20"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        outcomes.append(read_audit(name, done.stdout, done.stderr))
    return all(outcomes)


def read_audit(name: str, said: str, complaint: str) -> bool:
    """Print what pip-audit found; without an answer of its service it could not check."""
    title = f"audit {name}"
    try:
        packages = json.loads(said)["dependencies"]
    except (ValueError, KeyError):
        why = (complaint.strip().splitlines() or ["it said nothing"])[-1]
        print(f"{title}: SKIPPED, not checked: {why[:200]}")
        return True
    for one in packages:
        if "skip_reason" in one:
            print(f"{title}: SKIPPED {one['name']}, not checked: {one['skip_reason']}")
    return tell(
        title,
        [
            f"{one['name']} {one['version']}: {vulnerability['id']}, "
            f"fixed in {', '.join(vulnerability['fix_versions']) or 'none'}"
            for one in packages
            for vulnerability in one.get("vulns", [])
        ],
    )


def write_sbom(path: Path, locked: Mapping[str, str]) -> bool:
    """Write what is installed here as CycloneDX; return whether everything that was installed of the locks is in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [BIN / "cyclonedx-py", "environment", "--output-reproducible", "--of", "JSON", "-o", path, sys.executable],
        check=True, capture_output=True,
    )  # fmt: skip
    listed = {normal(one["name"]) for one in json.loads(path.read_text(encoding="utf8"))["components"]}
    installed = {normal(one.metadata["Name"]) for one in metadata.distributions()}
    missing = sorted((installed & set(locked)) - listed)
    return tell(f"SBOM of {len(listed)} packages", [f"{name} is not in {path}" for name in missing])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
