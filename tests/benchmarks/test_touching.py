"""Which pages of a process are written to ahead, and that nothing in memory changes by it."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks.touching import Mapping, mappings_of, to_touch

# of a web process, by hand cut to what is read and one line more of each
_SMAPS = """\
55d0c8a2b000-55d0c8a2c000 r--p 00000000 fe:00 1573108                    /usr/bin/python3.11
Size:                  4 kB
Rss:                   4 kB
562b906f3000-562b93d69000 rw-p 00000000 00:00 0                          [heap]
Size:              55768 kB
Rss:               55624 kB
7f57e8e00000-7f57eae00000 rw-p 00000000 00:00 0
Size:              32768 kB
Rss:                 164 kB
7f57eae00000-7f57ed132000 ---p 00000000 00:00 0
Size:              36040 kB
Rss:                   0 kB
7f57ed132000-7f57ed133000 ---p 00000000 00:00 0
Size:                  4 kB
Rss:                   0 kB
7f57ed133000-7f57ed933000 rw-p 00000000 00:00 0
Size:               8192 kB
Rss:                  36 kB
7f5821052000-7f582106b000 rw-p 00000000 fe:00 1573108                    /usr/bin/python3.11
Size:                100 kB
Rss:                  96 kB
7f5821b6e000-7f5821b72000 rw-s 00000000 00:01 2053                       /dev/zero (deleted)
Size:                 16 kB
Rss:                   8 kB
7fff0a45a000-7fff0a47b000 rw-p 00000000 00:00 0                          [stack]
Size:                132 kB
Rss:                  76 kB
"""
_MB = 1024 * 1024


class TestMappings:
    def test_are_read_with_what_is_no_files_and_what_is_a_guard(self) -> None:
        found = list(mappings_of(_SMAPS.splitlines()))
        assert [one.start for one in found if one.is_own] == [
            0x562B906F3000, 0x7F57E8E00000, 0x7F57ED133000, 0x7FFF0A45A000,
        ]  # fmt: skip
        assert [one.start for one in found if one.is_guard] == [0x7F57ED132000]
        assert found[1] == Mapping(0x562B906F3000, 0x562B93D69000, is_own=True, is_guard=False, rss_bytes=55624 * 1024)
        assert found[1].untouched_bytes == 144 * 1024


class TestWhatIsTouched:
    def test_is_what_lacks_little_and_the_upper_end_of_stacks(self) -> None:
        found = to_touch(mappings_of(_SMAPS.splitlines()), most_bytes=_MB, stack_bytes=128 * 1024)
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
from benchmarks.touching import mappings_of, to_touch, touch_mapped

def untouched():
    with open("/proc/self/smaps") as lines:
        found = list(mappings_of(lines))
    stacks = [two for one, two in zip(found, found[1:]) if one.is_guard and two.is_own and one.end == two.start]
    return {
        "small": sum(one.untouched_bytes for one in found if one.is_own and one.untouched_bytes <= 1 << 20),
        "stacks": [one.rss_bytes for one in stacks], "all": sum(one.rss_bytes for one in found if one.is_own),
    }

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
