r"""Find LaTeX formulas in Markdown and make MathML of them: `$x$`, `\(x\)`, `$$x$$`, `\[x\]`, equation environments.

What math-core does not know, what is too long and what nests too deeply stays LaTeX, as code; a formula loads nothing
and runs nothing. Money stays money: a dollar sign opens only before and closes only after something that is no space,
and neither beside a digit outside (`$5 and $10`).
"""

import re
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from math_core import LatexError, LatexToMathML

TAGS = {
    "math", "menclose", "mfrac", "mi", "mmultiscripts", "mn", "mo", "mover", "mpadded", "mphantom", "mprescripts",
    "mroot", "mrow", "mspace", "msqrt", "mstyle", "msub", "msubsup", "msup", "mtable", "mtd", "mtext", "mtr", "munder",
    "munderover",
}  # fmt: skip
ATTRIBUTES = {
    "math": {"display"},
    "menclose": {"notation"},
    "mfrac": {"linethickness", "displaystyle", "scriptlevel"},
    "mi": {"mathvariant"},
    "mo": {
        "form", "stretchy", "symmetric", "largeop", "movablelimits", "lspace", "rspace", "minsize", "maxsize",
    },
    "mspace": {"width"},
    "mover": {"accent"},
    "munder": {"accentunder"},
    "munderover": {"accent", "accentunder"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mtable": {"displaystyle", "scriptlevel"},
}  # fmt: skip
CLASSES = {"mtd": {"to-left", "to-right"}, "div": {"formula"}}

_LONGEST = 2000
_LONGEST_MATHML = 100_000
_DEEPEST = 40
_MOST_EXPANSIONS = 50
_NUMBERED = re.compile(r"\\(begin|end)\{(equation|align|gather|multline)\}")
_CELL = re.compile(r'<mtd style="text-align: (left|right);[^"]*">')
_TAG = re.compile(r"<(/?)m[a-z]+")
_ENVIRONMENT = re.compile(r"\\begin\{((?:equation|align|gather|multline|aligned|gathered|cases|[pbvBV]?matrix)\*?)\}")
_INLINE = [("$$", "$$", True), ("$", "$", False), ("\\(", "\\)", False), ("\\[", "\\]", True)]
_BLOCKS = [("$$", "$$"), ("\\[", "\\]")]


def add_formulas(parser: MarkdownIt) -> None:
    """Have a parser find formulas and write MathML for them."""
    parser.inline.ruler.before("escape", "formula", _inline_formula)
    parser.block.ruler.before(
        "fence", "formula_block", _formula_block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    parser.add_render_rule("formula", lambda _, tokens, at, *__: mathml(tokens[at].content, is_block=False))
    parser.add_render_rule("formula_shown", lambda _, tokens, at, *__: mathml(tokens[at].content, is_block=True))
    parser.add_render_rule(
        "formula_block",
        lambda _, tokens, at, *__: f'<div class="formula">{mathml(tokens[at].content, is_block=True)}</div>\n',
    )


def mathml(latex: str, *, is_block: bool) -> str:
    """Return a formula as MathML, or as the LaTeX that it is in a `code` where it cannot be shown otherwise."""
    try:
        if len(latex) > _LONGEST:
            return _as_code(latex)
        written = _converter().convert_with_local_state(_NUMBERED.sub(r"\\\1{\2*}", latex), displaystyle=is_block)
    except LatexError:
        return _as_code(latex)
    if len(written) > _LONGEST_MATHML or _depth(written) > _DEEPEST:
        return _as_code(latex)
    return _CELL.sub(r'<mtd class="to-\1">', written)


def _as_code(latex: str) -> str:
    return f"<code>{escapeHtml(latex)}</code>"


@lru_cache(maxsize=1)
def _converter() -> LatexToMathML:
    return LatexToMathML(fancy_error=False, max_expansions=_MOST_EXPANSIONS)


def _depth(written: str) -> int:
    depth = deepest = 0
    for found in _TAG.finditer(written):
        depth += -1 if found[1] else 1
        deepest = max(deepest, depth)
    return deepest


def _inline_formula(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "$\\":
        return False
    for opening, closing, is_shown in _INLINE:
        if state.src.startswith(opening, state.pos):
            start = state.pos + len(opening)
            end = _closing(state.src, start, state.posMax, closing)
            if end < 0:
                return False
            if not silent:
                token = state.push("formula_shown" if is_shown else "formula", "math", 0)
                token.content = state.src[start:end].strip()
            state.pos = end + len(closing)
            return True
    return False


def _closing(text: str, start: int, stop: int, closing: str) -> int:
    """Return where a formula that begins at `start` ends, -1 where it is none."""
    is_dollar = closing == "$"
    if is_dollar and (start >= stop or text[start].isspace() or (start > 1 and text[start - 2].isdigit())):
        return -1
    limit = min(stop, start + _LONGEST + len(closing))
    end = text.find(closing, start, limit)
    while is_dollar and end > 0 and text[end - 1] == "\\":  # a dollar sign within the formula
        end = text.find(closing, end + 1, limit)
    if end < 0 or not text[start:end].strip():
        return -1
    if is_dollar and (text[end - 1].isspace() or text[end + 1 : end + 2].isdigit()):
        return -1
    return end


def _formula_block(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    """Take the lines of a formula that begins a line and whose end ends one."""
    if state.is_code_block(first):
        return False
    text = _line(state, first)
    opening, closing = next(
        ((one, end) for one, end in [*_BLOCKS, *_environment(text)] if text.startswith(one)), ("", "")
    )
    start = state.bMarks[first] + state.tShift[first] + len(opening)
    end = state.src.find(closing, start, start + _LONGEST) if opening else -1
    if end < 0:
        return False
    number = first + 1
    while state.eMarks[number - 1] < end:
        if number >= last or state.sCount[number] < state.blkIndent:
            return False
        text += "\n" + _line(state, number)
        number += 1
    inside = text[len(opening) : -len(closing)]
    if not text.endswith(closing) or closing in inside or not inside.strip():
        return False
    if not silent:
        token = state.push("formula_block", "math", 0)
        token.content = text if opening.startswith("\\begin") else inside.strip()
        token.map = [first, number]
    state.line = number
    return True


def _environment(line: str) -> list[tuple[str, str]]:
    found = _ENVIRONMENT.match(line)
    return [] if found is None else [(found[0], f"\\end{{{found[1]}}}")]


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]].rstrip()
