"""Texts in CSV that a spreadsheet would run as formulas: made harmless, and brought back. Pure."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def harmless(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would run, and before one that looks as if it had one."""
    return f"'{text}" if _is_risky(text) else text


def original(text: str) -> str:
    """Return what `harmless` was given."""
    return text[1:] if text.startswith("'") and _is_risky(text[1:]) else text


def _is_risky(text: str) -> bool:
    return text.lstrip("'").startswith(_FORMULA_STARTS)
