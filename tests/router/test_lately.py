import gc
import weakref

import pytest

from router.lately import Lately, WouldWait, lately, lately_each, require_time


class Reader:
    """Counts how often it was read."""

    def __init__(self, *, ahead_s: float = 0.0) -> None:
        self.now = 0.0
        self.count = 0
        self.kept = Lately(lifetime_s=0.5, ahead_s=ahead_s, monotonic=lambda: self.now)

    def read(self) -> int:
        self.count += 1
        return self.count


class TestLately:
    def test_reads_each_time_where_nothing_is_kept(self) -> None:
        reader = Reader()
        assert [lately("a", reader.read) for _ in range(2)] == [1, 2]

    def test_reads_once_within_the_lifetime_of_what_is_kept(self) -> None:
        reader = Reader()
        with reader.kept.used():
            assert [lately("a", reader.read), lately("a", reader.read), lately("b", reader.read)] == [1, 1, 2]
            reader.now = 0.5
            assert lately("a", reader.read) == 3

    def test_keeps_nothing_for_others_and_nothing_after_its_end(self) -> None:
        one, other = Reader(), Reader()
        with one.kept.used():
            lately("a", one.read)
            with other.kept.used():
                assert lately("a", other.read) == 1
            assert lately("a", one.read) == 1
        assert lately("a", one.read) == 2

    @pytest.mark.slow
    def test_lets_go_of_what_counts_no_more(self) -> None:
        """Each new prompt has keys of its own: what was read for old ones must not pile up."""
        reader, alive = Reader(), weakref.WeakSet[Reader]()

        def made() -> Reader:
            one = Reader()
            alive.add(one)
            return one

        with reader.kept.used():
            for number in range(3000):
                reader.now += 0.01  # of which 50 are younger than their lifetime
                lately(number, made)
        gc.collect()
        assert 50 <= len(alive) <= 256

    def test_keeps_no_failure(self) -> None:
        reader = Reader()

        def fail() -> int:
            raise LookupError

        with reader.kept.used():
            with pytest.raises(LookupError):
                lately("a", fail)
            assert lately("a", reader.read) == 1

    def test_renews_what_was_asked_for_near_its_end(self) -> None:
        reader = Reader(ahead_s=0.3)
        with reader.kept.used():
            assert [lately("a", reader.read), lately("b", reader.read)] == [1, 2]
            assert not reader.kept.has_due
            reader.now = 0.3
            assert lately("a", reader.read) == 1
        assert reader.kept.has_due
        reader.kept.renew()
        assert not reader.kept.has_due
        reader.now = 0.6
        with reader.kept.used():
            assert [lately("a", reader.read), lately("b", reader.read)] == [3, 4]

    def test_keeps_what_could_not_be_renewed_to_its_end_only(self) -> None:
        reader = Reader(ahead_s=0.3)

        def fail() -> int:
            raise LookupError

        with reader.kept.used():
            lately("a", reader.read)
            reader.now = 0.4
            assert lately("a", fail) == 1
            with pytest.raises(LookupError):
                reader.kept.renew()
            reader.now = 0.5
            with pytest.raises(LookupError):
                lately("a", fail)

    def test_reads_nothing_where_it_may_not_wait(self) -> None:
        reader = Reader()
        with reader.kept.used(may_wait=False):
            with pytest.raises(WouldWait):
                lately("a", reader.read)
            with pytest.raises(WouldWait) as waiting:
                require_time("vectors")
            assert (waiting.value.key, waiting.value.read) == ("vectors", None)
        with reader.kept.used():
            require_time()
            lately("a", reader.read)
        with reader.kept.used(may_wait=False):
            assert lately("a", reader.read) == 1
        require_time()

    def test_says_what_has_to_be_read_so_that_it_is_there_afterwards(self) -> None:
        reader = Reader()
        with reader.kept.used(may_wait=False):
            with pytest.raises(WouldWait) as lacking:
                lately("a", reader.read)
            assert lacking.value.key == "a"
            assert lacking.value.read is not None
            lacking.value.read()
            assert lately("a", reader.read) == 1


class Names:
    """Tells names of numbers, and notes which it was asked for; of 9 there is none."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[list[int]] = []
        self.kept = Lately(lifetime_s=0.5, monotonic=lambda: self.now)

    def read(self, keys: list[int]) -> dict[int, str]:
        self.asked.append(keys)
        return {key: str(key) for key in keys if key != 9}

    def of(self, *keys: int) -> dict[int, str]:
        return lately_each("name", keys, self.read, lifetime_s=60.0)


class TestLatelyEach:
    def test_reads_at_once_all_that_lack(self) -> None:
        names = Names()
        with names.kept.used():
            assert names.of(1, 2) == {1: "1", 2: "2"}
            assert names.of(2, 3, 9, 4) == {2: "2", 3: "3", 4: "4"}
            assert names.of(9, 1) == {1: "1"}
        assert names.asked == [[1, 2], [3, 9, 4]]

    def test_keeps_them_as_long_as_is_said(self) -> None:
        names = Names()
        with names.kept.used():
            names.of(1)
            names.now = 59.9
            names.of(1)
            names.now = 60.0
            names.of(1)
        assert names.asked == [[1], [1]]

    def test_reads_each_time_where_nothing_is_kept(self) -> None:
        names = Names()
        assert [names.of(1), names.of(1)] == [{1: "1"}] * 2
        assert names.asked == [[1], [1]]

    def test_reads_nothing_where_it_may_not_wait(self) -> None:
        names = Names()
        with names.kept.used(may_wait=False):
            with pytest.raises(WouldWait) as lacking:
                names.of(1, 2)
            assert names.asked == []
            assert lacking.value.read is not None
            lacking.value.read()
            assert names.of(2, 1) == {2: "2", 1: "1"}
        assert names.asked == [[1, 2]]
