"""A ring buffer in a file: one process writes a channel's readings, any number read them without a lock.

The file is a header of 320 bytes and `capacity` records of 40 bytes, little-endian, mapped into memory. The
writer fills a record first and raises the write count afterwards; a reader trusts a record only when its
sequence number is the one it expects and its CRC-32 fits, so it notices a record that is half written or
was overwritten. `docs/measuring-samples.md` lists the fields.
"""

import mmap
import os
import struct
import zlib
from bisect import bisect_left
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from benchmarks.meters.base import Boundary, Channel, Quality, Quantity, Reading
from benchmarks.units import NANOSECONDS_PER_SECOND

MAGIC = b"GLLMRING"
VERSION = 2
KEPT_NS = 3600 * NANOSECONDS_PER_SECOND  # longer than any single answer is allowed to take

_HEADER = struct.Struct("<8sHHIQqiB3xqqq24s64s16s16s16s120s")
_RECORD = struct.Struct("<QqqqHH")
_CHECKSUM = struct.Struct("<I")
_COUNT = struct.Struct("<Q")
_MOMENT = struct.Struct("<q")
# Both lie on 8-byte borders, where CPython's struct moves them in one piece on the machines that we know.
_WRITE_COUNT_OFFSET = 16
_HEARTBEAT_OFFSET = 24
_ERROR_LENGTH = 120
_ERROR_OFFSET = _HEADER.size - _ERROR_LENGTH
RECORD_SIZE = _RECORD.size + _CHECKSUM.size
_TRIES = 3
_LATENESS_UNIT_NS = 10_000
_MAX_LATENESS = 2**16 - 1


class RingError(Exception):
    """A ring could not be made, found or understood."""


class RingUnavailable(RingError):
    """There is no room or no permission for a ring; the message names the remedy."""


class RingVanished(RingError):
    """The file of the ring is not there (any more)."""


class RingFormatError(RingError):
    """The file is not a ring of this version."""


class Status(IntEnum):
    """Whether a record holds a value or tells of a failed read."""

    READING = 0
    GAP = 1


class Record(NamedTuple):
    """One attempt to read a channel; `window_ns` and `value` mean nothing when it is a gap.

    `lateness` is the time from the deadline to the moment when the thread that reads was at work, in steps of 10 µs.
    """

    sequence: int
    at_ns: int
    window_ns: int
    value: int
    status: int
    lateness: int

    @property
    def lateness_ns(self) -> int:
        """Return how late the attempt began; 0.66 s stands for all that is later."""
        return self.lateness * _LATENESS_UNIT_NS

    @property
    def is_reading(self) -> bool:
        """Tell whether the record holds a value."""
        return self.status == Status.READING

    def reading(self) -> Reading:
        """Return the record's reading."""
        return Reading(self.at_ns, self.window_ns, self.value)


@dataclass(frozen=True, slots=True)
class RingIdentity:
    """What is fixed when a ring is made.

    `started_at_ns` is the origin of the grid of deadlines on the monotonic clock, `pid` the sampler's
    process.
    """

    meter: str
    channel: Channel
    period_ns: int
    pid: int
    started_at_ns: int


@dataclass(frozen=True, slots=True)
class RingHeader:
    """What a ring tells about itself at one moment; `latest_error` is empty when no read ever failed."""

    identity: RingIdentity
    capacity: int
    write_count: int
    heartbeat_at_ns: int
    latest_error: str


@dataclass(frozen=True, slots=True)
class RecordSpan:
    """Records in order of time, how many between them were damaged, and whether older ones are lost."""

    records: tuple[Record, ...]
    torn_count: int
    is_overwritten: bool


def capacity_for(period_ns: int) -> int:
    """Return how many records an hour takes, with one to spare for the record that is being written."""
    return -(-KEPT_NS // period_ns) + 1


class RingWriter:
    """The writing end of a ring; there must be only one.

    All room is taken at once, because writing to a mapped page that a full tmpfs cannot provide kills the
    process.
    """

    def __init__(self, path: Path, identity: RingIdentity, *, capacity: int | None = None) -> None:
        self._capacity = capacity_for(identity.period_ns) if capacity is None else capacity
        size = _HEADER.size + self._capacity * RECORD_SIZE
        unfinished = path.with_suffix(".new")
        try:
            descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size)
                self._map = mmap.mmap(descriptor, size)
            finally:
                os.close(descriptor)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise RingUnavailable(
                f"cannot make a ring of {size} bytes in {path.parent} ({error.strerror}); "
                "free some memory there, or make that tmpfs larger (mount -o remount,size=64M, docker run --shm-size)"
            ) from error
        self._write_count = 0
        _HEADER.pack_into(self._map, 0, *_header_fields(identity, self._capacity))
        unfinished.rename(path)

    def write_reading(self, reading: Reading, *, now_ns: int, lateness_ns: int = 0) -> None:
        """Append a reading."""
        self._write((reading.at_ns, reading.window_ns, reading.value, Status.READING), now_ns, lateness_ns)

    def write_gap(self, error: str, *, now_ns: int, lateness_ns: int = 0) -> None:
        """Append a record that says that a read failed now, and keep the error's text in the header."""
        text = error.encode()[:_ERROR_LENGTH]
        self._map[_ERROR_OFFSET : _ERROR_OFFSET + _ERROR_LENGTH] = text.ljust(_ERROR_LENGTH, b"\0")
        self._write((now_ns, 0, 0, Status.GAP), now_ns, lateness_ns)

    def beat(self, now_ns: int) -> None:
        """Say that the writer is alive."""
        _MOMENT.pack_into(self._map, _HEARTBEAT_OFFSET, now_ns)

    def close(self) -> None:
        """Give the memory back; the file stays."""
        self._map.close()

    def _write(self, fields: tuple[int, int, int, Status], now_ns: int, lateness_ns: int) -> None:
        lateness = min(lateness_ns // _LATENESS_UNIT_NS, _MAX_LATENESS)
        record = _RECORD.pack(self._write_count, *fields, lateness)
        offset = _record_offset(self._write_count, self._capacity)
        self._map[offset : offset + RECORD_SIZE] = record + _CHECKSUM.pack(zlib.crc32(record))
        self._write_count += 1
        _COUNT.pack_into(self._map, _WRITE_COUNT_OFFSET, self._write_count)
        self.beat(now_ns)


class RingReader:
    """A reading end of a ring; a context manager.

    Raises `RingVanished` when there is no file and `RingFormatError` when it is something else.
    """

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError as error:
            raise RingVanished(f"there is no ring {path}") from error
        except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
            raise RingFormatError(f"{path} cannot be read as a ring: {error}") from error
        try:
            self._check(path)
        except RingFormatError:
            self._map.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._map.close()

    def header(self) -> RingHeader:
        """Return what the ring says about itself now."""
        fields = _HEADER.unpack_from(self._map)
        is_shared, period_ns, window_ns, started_at_ns = fields[7:11]
        meter, name, boundary, quality, quantity, error = (_text(field) for field in fields[11:])
        channel = Channel(
            name, Boundary(boundary), Quality(quality), Quantity(quantity), window_ns, is_shared=bool(is_shared)
        )
        return RingHeader(
            identity=RingIdentity(meter, channel, period_ns, pid=fields[6], started_at_ns=started_at_ns),
            capacity=self._capacity,
            write_count=self._steady(_COUNT, _WRITE_COUNT_OFFSET),
            heartbeat_at_ns=self._steady(_MOMENT, _HEARTBEAT_OFFSET),
            latest_error=error,
        )

    def records_between(self, start_ns: int, stop_ns: int) -> RecordSpan:
        """Return the records from the last reading until the start to the first one from the stop on.

        Damaged records are counted, not returned. `is_overwritten` says that records after the start are
        lost.
        """
        write_count = self._steady(_COUNT, _WRITE_COUNT_OFFSET)
        # One less than the capacity: the oldest slot is the one that the writer may be filling right now.
        oldest = max(0, write_count - self._capacity + 1)
        found: list[Record] = []
        torn_count = 0
        is_overwritten = oldest > 0
        for sequence in range(write_count - 1, oldest - 1, -1):
            record = self._record(sequence)
            if record is None:
                torn_count += 1
                continue
            if record.sequence != sequence:
                is_overwritten = True
                break
            if record.is_reading and record.at_ns >= stop_ns:
                found.clear()
                torn_count = 0
            found.append(record)
            if record.is_reading and record.at_ns <= start_ns:
                is_overwritten = False
                break
        return RecordSpan(tuple(reversed(found)), torn_count, is_overwritten)

    def thinned(self, since_ns: int, max_count: int) -> tuple[list[Record], int]:
        """Return records from a moment on, in order of time, and that it is every how manieth: enough for a look.

        Damaged ones are left out, and no more than `max_count` are read.
        """
        write_count = self._steady(_COUNT, _WRITE_COUNT_OFFSET)
        kept = range(max(0, write_count - self._capacity + 1), write_count)
        wanted = kept[bisect_left(kept, since_ns, key=self._at_ns) :]
        stride = max(1, -(-len(wanted) // max_count))
        sequences = wanted[(len(wanted) - 1) % stride :: stride] if wanted else wanted  # the latest is among them
        found = [(sequence, self._record(sequence)) for sequence in sequences]
        return [record for sequence, record in found if record and record.sequence == sequence], stride

    def _at_ns(self, sequence: int) -> int:
        at_ns: int = _MOMENT.unpack_from(self._map, _record_offset(sequence, self._capacity) + _COUNT.size)[0]
        return at_ns

    def _check(self, path: Path) -> None:
        if len(self._map) < _HEADER.size:
            raise RingFormatError(f"{path} is shorter than a ring's header")
        magic, version, record_size, self._capacity = _HEADER.unpack_from(self._map)[:4]
        if (magic, version, record_size) != (MAGIC, VERSION, RECORD_SIZE):
            raise RingFormatError(f"{path} is not a ring of version {VERSION}")
        if len(self._map) != _HEADER.size + self._capacity * RECORD_SIZE:
            raise RingFormatError(f"{path} does not have room for its {self._capacity} records")

    def _steady(self, field: struct.Struct, offset: int) -> int:
        """Read a number until two looks agree, so that a look at half a number does no harm."""
        latest: int = field.unpack_from(self._map, offset)[0]
        while True:
            previous, latest = latest, field.unpack_from(self._map, offset)[0]
            if previous == latest:
                return latest

    def _record(self, sequence: int) -> Record | None:
        """Return the record in a sequence number's slot, None when it stays damaged."""
        offset = _record_offset(sequence, self._capacity)
        for _ in range(_TRIES):
            content = self._map[offset : offset + RECORD_SIZE]
            if zlib.crc32(content[: _RECORD.size]) == _CHECKSUM.unpack_from(content, _RECORD.size)[0]:
                return Record(*_RECORD.unpack_from(content))
        return None


def _header_fields(identity: RingIdentity, capacity: int) -> tuple[object, ...]:
    channel = identity.channel
    counts = (MAGIC, VERSION, RECORD_SIZE, capacity, 0, identity.started_at_ns, identity.pid)
    times = (channel.is_shared, identity.period_ns, channel.window_ns, identity.started_at_ns)
    names = (identity.meter, channel.name, channel.boundary, channel.quality, channel.quantity, "")
    return (*counts, *times, *(name.encode() for name in names))


def _record_offset(sequence: int, capacity: int) -> int:
    return _HEADER.size + sequence % capacity * RECORD_SIZE


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode(errors="replace")
