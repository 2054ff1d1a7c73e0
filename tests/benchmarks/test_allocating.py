"""How many arenas glibc makes for the threads of a process, and what a reserve keeps."""

import os
import queue
import subprocess
import sys
import threading

import pytest

from benchmarks.allocating import Reserve, keep_memory_together

_ARENAS_OF_TWELVE_THREADS = """
import ctypes, os, sys, tempfile, threading
done = None
if sys.argv[1] == "together":
    from benchmarks.allocating import keep_memory_together
    done = keep_memory_together()
if sys.argv[1] == "web process":
    import greenllm.asgi
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
all_there = threading.Barrier(12)
threads = [threading.Thread(target=lambda: (libc.malloc(1000), all_there.wait())) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.fdopen.restype = ctypes.c_void_p
with tempfile.TemporaryFile() as told:
    stream = ctypes.c_void_p(libc.fdopen(os.dup(told.fileno()), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    told.seek(0)
    print(done, told.read().count(b"<heap nr="))
"""


def arenas(how: str, **environment: str) -> tuple[str, int]:
    """Return what a process of its own said of the call, and how many arenas its threads made."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _ARENAS_OF_TWELVE_THREADS, how],
        env=given | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    done, count = ran.stdout.split()
    return done, int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
class TestKeepingMemoryTogether:
    @pytest.mark.slow
    def test_lets_threads_share_two_arenas(self) -> None:
        assert arenas("together") == ("True", 2)
        assert arenas("apart")[1] > 2

    @pytest.mark.slow
    def test_is_done_by_the_web_process_before_its_threads_are_there(self) -> None:
        assert arenas("web process")[1] == 2

    def test_leaves_an_environment_alone_that_tunes_malloc(self) -> None:
        assert arenas("together", MALLOC_ARENA_MAX="4") == ("False", 4)

    def test_is_not_done_by_another_c_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
        monkeypatch.setattr("ctypes.CDLL", lambda _: object())
        assert not keep_memory_together()


_MAPPINGS = """
import sys
from benchmarks.allocating import _MallocInfo, keep_memory_together
import ctypes
assert keep_memory_together()
tell = ctypes.CDLL(None).mallinfo2
tell.restype = _MallocInfo
before = tell().hblks
held = bytearray(int(sys.argv[1]))
print(tell().hblks - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
class TestLargeBlocks:
    @pytest.mark.parametrize(("size_bytes", "mappings"), [(1_200_000, 0), (8_000_000, 1)])
    def test_are_mapped_by_themselves_only_beyond_columns_of_a_study(self, size_bytes: int, mappings: int) -> None:
        """Each mapping is pages that the kernel clears anew: columns that come and go took seven times as long."""
        given = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
        command = [sys.executable, "-W", "ignore", "-c", _MAPPINGS, str(size_bytes)]
        assert int(subprocess.run(command, env=given, capture_output=True, text=True, check=True).stdout) == mappings


_GROWTH = """
import sys, psutil
from benchmarks.allocating import Reserve, keep_memory_together
keep_memory_together()
if sys.argv[1] == "reserved":
    reserve = Reserve(python_bytes=8_000_000, malloc_bytes=8_000_000)
    assert reserve.keep()

def private_kb():
    return sum(one.private_dirty for one in psutil.Process().memory_maps()) // 1024

private_kb()
before = private_kb()
busy = [bytes(80) for _ in range(40_000)], [bytearray(3000) for _ in range(1000)]
print(private_kb() - before)
"""


def growth_kb(how: str) -> int:
    """Return how much a process of its own grows by, with a reserve or without, as objects take 7 MB."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-W", "ignore", "-c", _GROWTH, how]
    return int(subprocess.run(command, env=given, capture_output=True, text=True, check=True).stdout)


class TestReserve:
    def test_is_taken_again_where_the_process_uses_about_as_much_more(self) -> None:
        used = iter([500_000, 500_900, 501_100, 501_100, 490_000])
        reserve = Reserve(python_bytes=92_000, used_blocks=lambda: next(used))
        assert [reserve.keep() for _ in range(5)] == [True, False, True, False, False]

    def test_is_looked_after_by_one_thread_however_often_a_process_begins_to_serve(self) -> None:
        looked = queue.SimpleQueue[str]()

        def used() -> int:
            looked.put(threading.current_thread().name)
            return 500_000

        reserve = Reserve(python_bytes=92_000, used_blocks=used)
        for _ in range(3):
            reserve.keep_on(first_after_s=0, every_s=3600)
        assert looked.get(timeout=20) == "reserve"
        with pytest.raises(queue.Empty):
            looked.get(timeout=0.1)

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
    def test_is_what_a_busy_moment_takes(self) -> None:
        assert growth_kb("reserved") < 500
        assert growth_kb("bare") > 5000
