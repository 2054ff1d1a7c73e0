"""Who may open which address, and with which method: what is meant to be so, told once. Pure.

Nothing here opens or closes anything: the views do, and a test holds every one of them against this table from outside.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import islice


class Visitor(StrEnum):
    """Somebody at a door; who has a role has that one alone."""

    UNNAMED = "unnamed"
    LOCAL = "unnamed on this machine"  # where GREENLLM_ANONYMOUS_ACCESS=loopback
    PERSON = "no role"
    RESEARCHER = "researcher"
    ANNOTATOR = "annotator"
    ADJUDICATOR = "adjudicator"
    ADMIN = "admin"
    OWNER = "owner"  # an annotator whose key, conversation and label stand in the addresses
    STAFF = "staff"  # of the admin site, without any permission
    SUPERUSER = "superuser"


@dataclass(frozen=True)
class Door:
    """Whom a page lets in, and in which words operators are told so."""

    words: str
    lets_in: frozenset[Visitor]


def _door(words: str, *visitors: Visitor) -> Door:
    return Door(words, frozenset(visitors))


_SIGNED_IN = [one for one in Visitor if one not in {Visitor.UNNAMED, Visitor.LOCAL}]

EVERYBODY = _door("everybody", *Visitor)
CHATTERS = _door("whoever is signed in, and readers on this machine", Visitor.LOCAL, *_SIGNED_IN)
PEOPLE = _door("whoever is signed in", *_SIGNED_IN)
READERS = _door(
    "researchers and admins, and readers on this machine",
    Visitor.LOCAL, Visitor.RESEARCHER, Visitor.ADMIN, Visitor.SUPERUSER,
)  # fmt: skip
RESEARCHERS = _door("researchers and admins", Visitor.RESEARCHER, Visitor.ADMIN, Visitor.SUPERUSER)
JUDGES = _door(
    "annotators, adjudicators and admins",
    Visitor.ANNOTATOR, Visitor.OWNER, Visitor.ADJUDICATOR, Visitor.ADMIN, Visitor.SUPERUSER,
)  # fmt: skip
ADMINS = _door("admins", Visitor.ADMIN, Visitor.SUPERUSER)
OWNER = _door("its owner alone", Visitor.OWNER)
OWNER_AND_ADMINS = _door("its owner and admins", Visitor.OWNER, Visitor.ADMIN, Visitor.SUPERUSER)
THIS_MACHINE = _door("callers on this machine, and whoever has the token of metrics", Visitor.LOCAL)
STAFF = _door("staff of the admin site", Visitor.STAFF, Visitor.SUPERUSER)
PERMITTED_STAFF = _door("staff of the admin site, by the permissions of each", Visitor.SUPERUSER)
KEYS = _door("whoever has a key with the scope", *Visitor)

READ = ("GET", "HEAD")
SEND = ("POST",)
ASK = (*READ, *SEND)  # a page with a form
ANY = (*ASK, "PUT", "DELETE", "OPTIONS")  # Django's own pages, which take whatever is no POST for a GET


@dataclass(frozen=True)
class Rule:
    """What goes for some routes: their methods, and who is let in."""

    names: tuple[str, ...]
    methods: tuple[str, ...]
    door: Door


def _rules(door: Door, methods: tuple[str, ...], namespace: str, names: str) -> Rule:
    prefix = f"{namespace}:" if namespace else ""
    return Rule(tuple(f"{prefix}{name}" for name in names.split()), methods, door)


# Every route by its name; only the admin site's, which is one door, are told by patterns.
RULES: tuple[Rule, ...] = (
    _rules(EVERYBODY, READ, "", "health api-health"),
    _rules(EVERYBODY, READ, "openai", "openapi"),
    _rules(EVERYBODY, ASK, "account", "sign-in set-password"),
    _rules(EVERYBODY, SEND, "account", "sign-out"),
    _rules(THIS_MACHINE, READ, "", "metrics"),
    _rules(CHATTERS, ("GET",), "dashboards", "home"),
    _rules(EVERYBODY, ("HEAD",), "dashboards", "home"),  # the greeting that clients of Ollama look for
    _rules(CHATTERS, SEND, "dashboards", "ask"),
    _rules(READERS, READ, "dashboards", "study-tables study csv"),
    _rules(RESEARCHERS, SEND, "dashboards", "compare"),
    _rules(READERS, READ, "operations", "operations live csv"),
    _rules(RESEARCHERS, READ, "quality", "overview over-time answers json csv"),
    _rules(ADMINS, READ, "ordering", "order"),
    _rules(ADMINS, SEND, "ordering", "anew"),
    _rules(JUDGES, READ, "labeling", "next guidelines history"),
    _rules(JUDGES, SEND, "labeling", "vote skip undo renew recall flag evidence switch-keys comment change take-back"),
    _rules(JUDGES, ASK, "labeling", "keys"),
    _rules(PEOPLE, READ, "labeling", "verdict-rule"),
    _rules(ADMINS, READ, "labeling", "flags correction download-labels label-config"),
    _rules(ADMINS, SEND, "labeling", "resolve-flag switch-graders retire-gold undo-correction"),
    _rules(ADMINS, ASK, "labeling", "rules gold corrections exchange"),
    _rules(READERS, READ, "exports", "choose download"),
    _rules(READERS, READ, "bundles", "download"),
    _rules(RESEARCHERS, ASK, "bundles", "import"),
    _rules(READERS, READ, "comparing", "compare break-even"),
    _rules(READERS, READ, "reports", "page file"),
    _rules(
        READERS, READ, "studies",
        "list detail live power tables spread-note sweep spread spread-csv response samples samples-parquet",
    ),
    _rules(RESEARCHERS, ASK, "studies", "new cancel accept"),
    _rules(RESEARCHERS, SEND, "studies", "estimate start pause grade reveal"),
    _rules(CHATTERS, READ, "chat", "start"),
    _rules(CHATTERS, SEND, "chat", "send"),
    _rules(OWNER, READ, "chat", "conversation thread export-json export-markdown"),
    _rules(OWNER, SEND, "chat", "show thumb delete rename refuse regenerate"),
    _rules(READERS, READ, "routing", "overview evaluation progress json csv"),
    _rules(RESEARCHERS, SEND, "routing", "evaluate"),
    _rules(ADMINS, SEND, "routing", "tune restore adopt"),
    _rules(READERS, READ, "federation", "overview health model preview"),
    _rules(ADMINS, READ, "federation", "kept"),
    _rules(ADMINS, SEND, "federation", "kept-known kept-unknown kept-delete evaluate take-back activate"),
    _rules(ADMINS, ASK, "federation", "add retire"),
    _rules(ADMINS, SEND, "notices", "dismiss"),
    _rules(READERS, READ, "look", "look ask"),
    _rules(RESEARCHERS, SEND, "look", "say"),
    _rules(PEOPLE, READ, "account", "overview"),
    _rules(PEOPLE, ASK, "account", "change-password forget"),
    _rules(PEOPLE, SEND, "account", "add-key"),
    _rules(PEOPLE, READ, "", "mfa_index mfa_view_recovery_codes mfa_download_recovery_codes"),
    _rules(
        PEOPLE, ASK, "",
        "mfa_activate_totp mfa_deactivate_totp mfa_generate_recovery_codes mfa_reauthenticate account_reauthenticate",
    ),
    _rules(EVERYBODY, ASK, "", "mfa_authenticate"),
    _rules(EVERYBODY, READ, "", "account_login"),
    _rules(OWNER_AND_ADMINS, READ, "account", "key"),
    _rules(OWNER_AND_ADMINS, ASK, "account", "revoke-key"),
    _rules(OWNER, SEND, "account", "keeping"),
    _rules(ADMINS, READ, "account", "keys people person acts acts-csv"),
    _rules(ADMINS, ASK, "account", "give-key change-key invite"),
    _rules(ADMINS, SEND, "account", "change-roles switch link take-second-factor"),
    _rules(STAFF, ANY, "admin", "index logout password_change_done password_change jsi18n view_on_site"),
    _rules(PERMITTED_STAFF, ANY, "admin", "*"),
    _rules(STAFF, READ, "", "admin-sign-in"),  # everybody else is led to the sign-in page, or refused
    _rules(KEYS, ("GET",), "openai", "request key models model"),
    _rules(KEYS, SEND, "openai", "chat-completions completions embeddings route"),
    _rules(KEYS, ANY, "openai", "unknown"),
    _rules(KEYS, READ, "ollama", "tags ps version"),
    _rules(KEYS, SEND, "ollama", "chat generate embed embeddings show"),
    _rules(KEYS, ("HEAD", "POST", "DELETE"), "ollama", "pull create delete push copy blobs"),  # all refused
    _rules(KEYS, ANY, "ollama", "unknown"),
)  # fmt: skip


class NoRule(LookupError):
    """Nobody has said who may open a route."""


def rules_of(name: str) -> tuple[Rule, ...]:
    """Return what goes for a route, by its name with its namespace; of the patterns that fit the first counts.

    Raises:
        NoRule: it does not stand in the table.
    """
    named = tuple(rule for rule in RULES if name in rule.names)
    fitting = (rule for rule in RULES if any(fnmatchcase(name, pattern) for pattern in rule.names))
    found = named or tuple(islice(fitting, 1))
    if not found:
        raise NoRule(f"{name} is open to nobody knows whom: add it to RULES of greenllm/access.py")
    return found


def door_of(name: str, method: str) -> Door | None:
    """Return the door that a method meets at a route; None where there is no such method."""
    return next((rule.door for rule in rules_of(name) if method in rule.methods), None)


def table_lines(routes: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield the table as Markdown: for every route (name, address) its methods, and whom it lets in."""
    yield "| Address | Methods | Open to |"
    yield "|---|---|---|"
    for name, address in routes:
        for rule in rules_of(name):
            methods = "any" if rule.methods == ANY else ", ".join(rule.methods)
            yield f"| `{address}` | {methods} | {rule.door.words} |"
