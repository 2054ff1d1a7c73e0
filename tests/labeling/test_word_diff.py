import pytest

from labeling.word_diff import Piece, compare_words


@pytest.mark.parametrize(
    ("before", "after", "pieces"),
    [
        ("", "", []),
        ("a b", "a  b", [Piece("same", "a b")]),
        ("a b c", "a x c", [Piece("same", "a"), Piece("removed", "b"), Piece("added", "x"), Piece("same", "c")]),
        ("a", "", [Piece("removed", "a")]),
        ("a\nb", "a\nb c", [Piece("same", "a\nb"), Piece("added", "c")]),
    ],
)
def test_says_what_changed(before: str, after: str, pieces: list[Piece]) -> None:
    assert list(compare_words(before, after)) == pieces


def test_takes_long_texts_as_one_piece_each() -> None:
    assert [piece.kind for piece in compare_words("a " * 2001, "a")] == ["removed", "added"]
