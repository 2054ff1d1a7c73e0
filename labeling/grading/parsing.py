"""Parse Python text in one thread at a time: CPython 3.11 counts the depth of all parses of a process together.

Two threads that parse at once can raise `SystemError: AST constructor recursion depth mismatch`
(https://github.com/python/cpython/issues/106905), whatever the text is.
"""

import ast
import threading
import warnings
from typing import Any

_ONE_AT_A_TIME = threading.Lock()


def parse(text: str) -> ast.Module:
    """Return the syntax tree of Python text; of odd escapes in it nobody is warned: the text is not ours.

    Raises:
        SyntaxError, ValueError, MemoryError, RecursionError: it is no Python, or too deep.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings(action="ignore"):  # a process has one list of filters, too
        return ast.parse(text)


def read_literal(text: str) -> Any:
    """Return the built-in value that Python text writes out.

    Raises:
        SyntaxError, ValueError, TypeError, MemoryError, RecursionError: it writes none out.
    """
    with _ONE_AT_A_TIME:
        return ast.literal_eval(text)
