"""Texts in CSV that a spreadsheet would run as formulas: made harmless, and brought back. Pure.

Source: OWASP, CSV Injection; the wide forms are what spreadsheets in East Asian settings take for the narrow ones.
"""

from collections.abc import Iterable

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001


def harmless(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would run, and before one that looks as if it had one."""
    return f"'{text}" if _is_risky(text) else text


def harmless_row(values: Iterable[object]) -> list[object]:
    """Return the cells of a row with every text made harmless; numbers stay as they are."""
    return [harmless(value) if isinstance(value, str) else value for value in values]


def original(text: str) -> str:
    """Return what `harmless` was given."""
    return text[1:] if text.startswith("'") and _is_risky(text[1:]) else text


def _is_risky(text: str) -> bool:
    return text.lstrip("'").startswith(_FORMULA_STARTS)
