"""The file in which a supervisor says what it runs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from greenllm.embedded.service import ServiceState


@dataclass(frozen=True)
class ServiceRecord:
    """One service as its supervisor saw it; `since` is the moment of the latest change, ISO 8601 in UTC."""

    name: str
    pid: int | None
    state: ServiceState
    since: str
    restart_count: int
    address: str
    log_path: str
    error: str


@dataclass(frozen=True)
class SupervisorRecord:
    """A supervisor and its services, in the order in which they were added."""

    pid: int
    started_at: str
    services: tuple[ServiceRecord, ...]


def write_state(path: Path, record: SupervisorRecord) -> None:
    """Replace the file at once, so that no reader sees half of it."""
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
    draft.replace(path)


def read_state(path: Path) -> SupervisorRecord | None:
    """Read the file; None when there is none, or it is not one of this version."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        services = tuple(
            ServiceRecord(**{**service, "state": ServiceState(service["state"])}) for service in raw["services"]
        )
        return SupervisorRecord(pid=raw["pid"], started_at=raw["started_at"], services=services)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
