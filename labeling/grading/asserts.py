"""Take an assert apart: what the solution must compute, and what is then claimed of it."""

import ast
import builtins
import sys
from dataclasses import dataclass

from labeling.grading.base import UnusableCheck
from labeling.grading.parsing import parse

_OWN_SCOPE = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)


@dataclass(frozen=True)
class Literal:
    """A value that stands in the assert itself."""

    value: object


@dataclass(frozen=True)
class Assertion:
    """One assert in two parts, so that a solution never judges itself.

    `calls` are the expressions that need the solution: they are evaluated beside it, and only plain values come back.
    `claim` is the rest, with `name_of(0)`, `name_of(1)`... in their places; it needs the modules in `modules`. Where
    the claim is just that the one call equals a literal, `expected` has that.
    """

    text: str
    calls: tuple[str, ...]
    claim: str
    modules: tuple[str, ...]
    expected: Literal | None


def name_of(place: int) -> str:
    """Return the name under which a claim knows the value of a call."""
    return f"__value_{place}__"


def parse_assertion(text: str, *, entry_point: str) -> Assertion:
    """Take one assert apart. Unknown names belong to the solution; built-in functions and modules do not.

    Raises:
        UnusableCheck: it is no single assert, does not use the solution, or loops over it.
    """
    try:
        statements = parse(text.strip()).body
    except (SyntaxError, ValueError) as error:
        raise UnusableCheck(f"a test is no Python: {text!r}") from error
    if len(statements) != 1 or not isinstance(statements[0], ast.Assert):
        raise UnusableCheck(f"a test must be one assert: {text!r}")
    splitter = _Splitter(entry_point)
    claim = splitter.visit(statements[0].test)
    if not splitter.calls:
        raise UnusableCheck(f"a test does not use the solution: {text!r}")
    if splitter.loops_over_solution:
        raise UnusableCheck(f"a test loops over the solution, write an assert for each: {text!r}")
    expected = _expected(claim) if len(splitter.calls) == 1 else None
    return Assertion(text.strip(), tuple(splitter.calls), ast.unparse(claim), tuple(splitter.modules), expected)


class _Splitter(ast.NodeTransformer):
    """Replaces the largest expressions that begin with a name of the solution, and keeps their text."""

    def __init__(self, entry_point: str) -> None:
        self._entry_point = entry_point
        self.calls: list[str] = []
        self.modules: list[str] = []
        self.loops_over_solution = False

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, _OWN_SCOPE):
            self.loops_over_solution |= any(
                isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load) and self._is_solution(inner.id)
                for inner in ast.walk(node)
            )
            return node
        root = _root_name(node)
        if root and self._is_solution(root) and isinstance(node, ast.expr):
            self.calls.append(ast.unparse(node))
            return ast.Name(name_of(len(self.calls) - 1), ast.Load())
        if isinstance(node, ast.Name) and node.id in sys.stdlib_module_names and node.id not in self.modules:
            self.modules.append(node.id)
        return self.generic_visit(node)

    def _is_solution(self, name: str) -> bool:
        is_known = hasattr(builtins, name) or name in sys.stdlib_module_names
        return name == self._entry_point or not is_known


def _root_name(node: ast.AST) -> str:
    """Return the name that a call, attribute or item begins with: `f` of `f(1).x[2]`."""
    while isinstance(node, ast.Call | ast.Attribute | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _expected(claim: ast.AST) -> Literal | None:
    if not (isinstance(claim, ast.Compare) and len(claim.ops) == 1 and isinstance(claim.ops[0], ast.Eq)):
        return None
    if not (isinstance(claim.left, ast.Name) and claim.left.id == name_of(0)):
        return None
    try:
        return Literal(ast.literal_eval(claim.comparators[0]))
    except ValueError:
        return None
