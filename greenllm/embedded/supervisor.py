"""Start the embedded services, keep them running, and stop them in order."""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from greenllm.embedded.addresses import EmbeddedLayout, make_folders
from greenllm.embedded.child import ServiceFailedError, SupervisedChild
from greenllm.embedded.errors import EmbeddedError
from greenllm.embedded.locking import take_children_lock, take_supervisor_lock
from greenllm.embedded.preflight import require_free_disk, require_supported_platform
from greenllm.embedded.service import Service, ServiceState
from greenllm.embedded.spawning import NOBODY, Isolation
from greenllm.embedded.state import ServiceRecord, SupervisorRecord, write_state

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 120.0
_TICK_S = 0.03
_STOP_TIMEOUT_S = 15.0


class NotReadyError(EmbeddedError):
    """A service did not answer in time."""


@dataclass(frozen=True)
class ServiceEvent:
    """A change of one service's state."""

    service: str
    state: ServiceState
    detail: str


class Supervisor:
    """Owns the services of one folder; one thread starts and watches all of them.

    That thread lives until `stop`, because the kernel ends a child when the thread that started it ends.
    """

    def __init__(
        self,
        layout: EmbeddedLayout,
        services: Sequence[Service],
        on_event: Callable[[ServiceEvent], None] = lambda _event: None,
    ) -> None:
        """Plan the services; `on_event` is called in the watching thread and must return quickly."""
        self.layout = layout
        self._planned = list(services)
        self._on_event = on_event
        self._children: list[SupervisedChild] = []
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._monitor: threading.Thread | None = None
        self._supervisor_fd: int | None = None
        self._children_fd: int | None = None
        self._started_at = datetime.now(UTC)
        self._dirty = True
        self._is_unwritten = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start all planned services side by side and wait until each answers; on failure stop them all.

        Raises:
            AlreadyRunningError: another supervisor owns the folder.
            ChildrenAliveError: services of a killed supervisor are still there.
            ServiceFailedError: a service ended at its start; the text has the end of its log.
            PortInUseError: another program has its port.
            NotReadyError: a service did not answer within `timeout_s` seconds.
            EmbeddedError: the platform, the disk or a folder does not allow the start.
        """
        require_supported_platform()
        in_nobody = any(service.isolation is Isolation.NOBODY for service in self._planned)
        make_folders(self.layout, socket_owner=NOBODY if in_nobody else os.getuid())
        require_free_disk(self.layout.var_dir)
        try:
            self._supervisor_fd = take_supervisor_lock(self.layout.lock_path)
            self._children_fd = take_children_lock(self.layout.children_lock_path)
            self._monitor = threading.Thread(target=self._watch, name="embedded-services", daemon=True)
            for service in self._planned:
                self.add(service)
            self._monitor.start()
            give_up_at_s = time.monotonic() + timeout_s
            for service in self._planned:
                self.wait_ready(service.name, give_up_at_s - time.monotonic())
        except BaseException:
            self.stop()
            raise

    def add(self, service: Service) -> None:
        """Have one more service started; `wait_ready` tells when it answers.

        Raises:
            ValueError: a service of that name exists.
        """
        lock_fds = () if self._children_fd is None else (self._children_fd,)
        with self._changed:
            if any(child.service.name == service.name for child in self._children):
                raise ValueError(f"There is already a service named {service.name}.")
            self._children.append(SupervisedChild(service, lock_fds=lock_fds, report=self._report))
            self._dirty = True

    def wait_ready(self, name: str, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until a service answers.

        Raises:
            KeyError: there is no service of that name.
            ServiceFailedError: it ended before it ever answered; the text has the end of its log.
            PortInUseError: another program has its port.
            NotReadyError: it did not answer within `timeout_s` seconds.
        """
        child = self._child(name)
        settled = {ServiceState.READY, ServiceState.FAILED, ServiceState.STOPPED}
        with self._changed:
            self._changed.wait_for(lambda: child.state in settled, max(0.0, timeout_s))
        if child.state is ServiceState.READY:
            return
        if child.state in settled:
            raise child.failure or ServiceFailedError(f"{name} was stopped.")
        raise NotReadyError(
            f"{name} did not answer at {child.service.address or 'all'} in {timeout_s:.0f} s. "
            f"Its log is {child.service.log_path}. {child.service.remedy}"
        )

    def statuses(self) -> tuple[ServiceRecord, ...]:
        """Return what is known of each service, in the order in which they were added."""
        with self._changed:
            children = tuple(self._children)
        return tuple(_record(child) for child in children)

    def stop(self) -> None:
        """Stop the services in reverse order and give the folder free; harmless when nothing runs."""
        self._stopping.set()
        if self._monitor is not None and self._monitor.ident is not None:
            self._monitor.join()
        for descriptor in (self._children_fd, self._supervisor_fd):
            if descriptor is not None:
                os.close(descriptor)
        self._children_fd = self._supervisor_fd = None

    def _watch(self) -> None:
        while not self._stopping.wait(_TICK_S):
            try:
                self._advance_all()
            except Exception:
                # Were this thread to end, the kernel would end every service.
                logger.exception("the supervisor stumbled")
        for child in reversed(self._children):
            child.ask_to_stop()
            child.await_end(_STOP_TIMEOUT_S)
        self._save()

    def _advance_all(self) -> None:
        with self._changed:
            children = tuple(self._children)
        for child in children:
            if self._stopping.is_set():
                return
            child.advance(time.monotonic())
        self._save()

    def _report(self, service: Service, state: ServiceState, detail: str) -> None:
        with self._changed:
            self._dirty = True
            self._changed.notify_all()
        self._on_event(ServiceEvent(service.name, state, detail))

    def _save(self) -> None:
        if self._dirty:
            self._dirty = False
            record = SupervisorRecord(os.getpid(), self._started_at.isoformat(), self.statuses())
            try:
                write_state(self.layout.state_path, record)
            except OSError as error:  # a full disk: written as soon as there is room again
                self._dirty = True
                if not self._is_unwritten:
                    logger.error("%s cannot be written: %s", self.layout.state_path, error)  # noqa: TRY400  no bug
            self._is_unwritten = self._dirty

    def _child(self, name: str) -> SupervisedChild:
        with self._changed:
            for child in self._children:
                if child.service.name == name:
                    return child
        raise KeyError(name)


def _record(child: SupervisedChild) -> ServiceRecord:
    service = child.service
    return ServiceRecord(
        name=service.name,
        pid=child.pid,
        state=child.state,
        since=child.since.isoformat(),
        restart_count=child.restart_count,
        address=service.address,
        log_path=str(service.log_path),
        error=str(child.failure or ""),
    )
