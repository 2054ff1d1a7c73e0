"""Which pages of a process are written to ahead, and that nothing in memory changes by it."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks.touching import Mapping, to_touch

# of a web process, as psutil tells them: address, rights, path, bytes with pages
_MAPS = [
    Mapping.of(addr=addr, perms=perms, path=path, rss=kilobytes * 1024)
    for addr, perms, path, kilobytes in [
        ("55d0c8a2b000-55d0c8a2c000", "r--p", "/usr/bin/python3.11", 4),
        ("562b906f3000-562b93d69000", "rw-p", "[heap]", 55624),
        ("7f57e8e00000-7f57eae00000", "rw-p", "[anon]", 164),
        ("7f57eae00000-7f57ed132000", "---p", "[anon]", 0),
        ("7f57ed132000-7f57ed133000", "---p", "[anon]", 0),
        ("7f57ed133000-7f57ed933000", "rw-p", "[anon]", 36),
        ("7f5821052000-7f582106b000", "rw-p", "/usr/bin/python3.11", 96),
        ("7f5821b6e000-7f5821b72000", "rw-s", "/dev/zero", 8),
        ("7fff0a45a000-7fff0a47b000", "rw-p", "[stack]", 76),
    ]
]
_MB = 1024 * 1024


class TestMappings:
    def test_are_read_with_what_is_no_files_and_what_is_a_guard(self) -> None:
        assert [one.start for one in _MAPS if one.is_own] == [
            0x562B906F3000, 0x7F57E8E00000, 0x7F57ED133000, 0x7FFF0A45A000,
        ]  # fmt: skip
        assert [one.start for one in _MAPS if one.is_guard] == [0x7F57ED132000]
        assert _MAPS[1] == Mapping(0x562B906F3000, 0x562B93D69000, is_own=True, is_guard=False, rss_bytes=55624 * 1024)
        assert _MAPS[1].untouched_bytes == 144 * 1024


class TestWhatIsTouched:
    def test_is_what_lacks_little_and_the_upper_end_of_stacks(self) -> None:
        found = to_touch(_MAPS, most_bytes=_MB, stack_bytes=128 * 1024)
        assert list(found) == [
            (0x562B906F3000, 55768 * 1024), (0x7F57ED933000 - 128 * 1024, 128 * 1024), (0x7FFF0A45A000, 132 * 1024),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("rss_bytes", "pieces"),
        [(5 * _MB, []), (4 * _MB, [(0, 5 * _MB)]), (4 * _MB - 4096, [])],
        ids=["whole", "lacks as much as allowed", "lacks more"],
    )
    def test_goes_by_what_is_lacking(self, rss_bytes: int, pieces: list[tuple[int, int]]) -> None:
        one = Mapping(0x1000, 0x1000 + 5 * _MB, is_own=True, is_guard=False, rss_bytes=rss_bytes)
        found = to_touch([one], most_bytes=_MB, stack_bytes=4096)
        assert list(found) == [(0x1000, size) for _, size in pieces]

    def test_is_no_more_of_a_small_stack_than_there_is(self) -> None:
        guard = Mapping(0x1000, 0x2000, is_own=False, is_guard=True, rss_bytes=0)
        stack = Mapping(0x2000, 0x6000, is_own=True, is_guard=False, rss_bytes=4096)
        assert list(to_touch([guard, stack], most_bytes=_MB, stack_bytes=_MB)) == [(0x2000, 0x4000)]


_TOUCHING = """
import hashlib, json, threading
from benchmarks.allocating import keep_memory_together
from benchmarks.touching import mappings, touch_mapped

def untouched():
    found = mappings()
    stacks = [two for one, two in zip(found, found[1:]) if one.is_guard and two.is_own and one.end == two.start]
    return {
        "small": sum(one.untouched_bytes for one in found if one.is_own and one.untouched_bytes <= 1 << 20),
        "stacks": [one.rss_bytes for one in stacks], "all": sum(one.rss_bytes for one in found if one.is_own),
    }

keep_memory_together()  # as a server does, or malloc would give back and take again what the reading needs
go_on = threading.Event()
threads = [threading.Thread(target=go_on.wait) for _ in range(5)]
for thread in threads:
    thread.start()
held = [bytes([number % 256]) * 3000 for number in range(5000)]
before, digest = untouched(), hashlib.sha256(b"".join(held)).hexdigest()
done = touch_mapped(most_bytes=1 << 20, stack_bytes=1 << 17)
after = untouched()
print(json.dumps([done, before, after, digest == hashlib.sha256(b"".join(held)).hexdigest()]))
go_on.set()
"""


class TestTouching:
    @pytest.mark.skipif(
        not sys.platform.startswith("linux") or tuple(map(int, os.uname().release.split(".")[:2])) < (5, 14),
        reason="SKIPPED: of Linux 5.14 and later",
    )
    def test_gives_pages_to_what_is_mapped_and_to_stacks_and_changes_nothing(self) -> None:
        ran = subprocess.run([sys.executable, "-c", _TOUCHING], capture_output=True, text=True, check=True)
        done, before, after, is_same = json.loads(ran.stdout)
        assert (done, is_same) == (True, True)
        assert before["small"] > after["small"]
        assert after["small"] < 32 * 1024  # what reading them took since
        assert max(before["stacks"]) < 128 * 1024
        assert len(after["stacks"]) >= 5
        assert min(after["stacks"]) >= 128 * 1024
