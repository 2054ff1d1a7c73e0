import pytest

from router.lately import Lately, lately


class Reader:
    """Counts how often it was read."""

    def __init__(self) -> None:
        self.now = 0.0
        self.count = 0
        self.kept = Lately(lifetime_s=0.5, monotonic=lambda: self.now)

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

    def test_keeps_no_failure(self) -> None:
        reader = Reader()

        def fail() -> int:
            raise LookupError

        with reader.kept.used():
            with pytest.raises(LookupError):
                lately("a", fail)
            assert lately("a", reader.read) == 1
