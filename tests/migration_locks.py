"""What the SQL of a migration would do to writers of a large database, and to web processes of the version before.

Postgres alone is in mind. Not django-migration-linter: it does not know of CHECK and FOREIGN KEY constraints that scan
a table under its lock, nor which tables are small, and it wants two more packages.
"""

import re
from collections.abc import Sequence

# Their rows are made by hand, some tens at most: whatever scans or rewrites one is done in milliseconds.
SMALL = frozenset(
    {
        "benchmarks_category", "benchmarks_dataset", "benchmarks_deployment", "benchmarks_inferenceserver",
        "benchmarks_intensityfeed", "benchmarks_languagemodel", "benchmarks_machine", "benchmarks_parameterset",
        "benchmarks_study", "benchmarks_studydeployment", "labeling_campaignnotice", "labeling_correction",
        "labeling_guideline", "labeling_judgementrule", "labeling_queueorder", "router_evaluation",
        "router_policyversion", "router_promptindex", "router_webprocess",
    }
)  # fmt: skip

_TABLE, _OTHER = (rf'(?:ONLY )?"?(?P<{name}>\w+)"?' for name in ("table", "other"))  # one name twice is no pattern
_ON_TABLES = {
    "builds an index under a lock": rf"^CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).*? ON {_TABLE}",
    "checks every row under a lock": (
        rf"^ALTER TABLE {_TABLE} ADD CONSTRAINT (?!.*\b(?:NOT VALID|USING INDEX)\b)|"
        rf'^ALTER TABLE {_OTHER} ALTER COLUMN "?\w+"? SET NOT NULL'
    ),
    "writes every row anew under a lock": (
        rf'^ALTER TABLE {_TABLE} ALTER COLUMN "?\w+"? TYPE|'
        rf"^ALTER TABLE {_OTHER} ADD COLUMN .*\bDEFAULT (?:gen_random_uuid|clock_timestamp|random)\("
    ),
    "changes rows in one transaction": rf"^(?:UPDATE {_TABLE}|DELETE FROM {_OTHER})",
}
_ANYWHERE = {
    "drops an index under a lock": r"^DROP INDEX (?!CONCURRENTLY)",
    "takes away what the version before uses": (
        r"^ALTER TABLE .*\b(?:DROP COLUMN|RENAME COLUMN|RENAME TO)\b|^DROP TABLE|^RENAME TABLE"
    ),
    "runs Python over rows": r"^-- THIS OPERATION CANNOT BE WRITTEN AS SQL",
}
_ADDED = re.compile(r'^ALTER TABLE "?(\w+)"? ADD COLUMN "?(\w+)"? (.*)', re.DOTALL)
_CREATED = re.compile(r'^CREATE TABLE "?(\w+)"?')
REQUIRED = "refuses rows of the version before"


def harms(statements: Sequence[str]) -> set[str]:
    """Return what the statements of one migration would do; what is done to its own new tables harms nobody."""
    lines = [" ".join(one.split()) for one in statements]
    unharmed = SMALL | {found[1] for line in lines if (found := _CREATED.match(line))}
    return {
        *(name for line in lines for name, pattern in _ON_TABLES.items() if _is_on_large(line, pattern, unharmed)),
        *(name for line in lines for name, pattern in _ANYWHERE.items() if re.match(pattern, line)),
        *(REQUIRED for line in lines if _is_required(line, lines, unharmed)),
    }


def _is_on_large(line: str, pattern: str, unharmed: frozenset[str] | set[str]) -> bool:
    found = re.match(pattern, line)
    return found is not None and (found["table"] or found.groupdict().get("other")) not in unharmed


def _is_required(line: str, lines: Sequence[str], made: frozenset[str] | set[str]) -> bool:
    """Tell whether a new column must be given by whoever inserts: the version before does not know it."""
    found = _ADDED.match(line)
    if found is None or found[1] in made - SMALL or "NOT NULL" not in found[3]:
        return False
    dropped = re.compile(rf'^ALTER TABLE "?{found[1]}"? ALTER COLUMN "?{found[2]}"? DROP DEFAULT')
    return "DEFAULT" not in found[3] or any(dropped.match(one) for one in lines)
