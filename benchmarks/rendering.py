"""Make safe HTML of what models write, for every page that shows it: their text is never trusted.

markdown-it lets no HTML of the text through, and nh3 cleans what it made once more. Pictures are left out, because
the page may load nothing from elsewhere. Code is coloured by classes, since the page allows no inline style; formulas
become MathML, which browsers lay out by themselves.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.emphasis import tokenize as tokenize_emphasis
from markdown_it.token import Token

from benchmarks import formulas

_TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s", "strong",
    "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_LOWER_HEADINGS = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6", "h5": "h6", "h6": "h6"}  # the page has its own
# what answers are written in; a lexer that nobody needs is one less that a hostile text can keep busy
_LANGUAGES = {
    "python", "py", "python3", "pycon", "sql", "sqlite3", "mysql", "postgresql", "json", "bash", "sh", "javascript",
    "js", "java", "c", "cpp", "typescript", "ts", "html", "css", "go", "rust",
}  # fmt: skip
_ALIASES = {"sqlite": "sqlite3", "postgres": "postgresql", "c++": "cpp"}
_LONGEST_HIGHLIGHTED = 20_000
_LONGEST_HIGHLIGHTED_LIVE = 6_000  # nobody has looked at what a model wrote just now; some lexers are quadratic
_CLASS_PREFIX = "hl-"
_PLAIN_BLOCKS = {"paragraph_open", "paragraph_close", "inline"}
_PLAIN_PARTS = {"text", "softbreak", "hardbreak"}
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
_IN_A_PRODUCT = re.compile(r"[A-Za-z0-9)\]](\*+)[A-Za-z0-9(\[]")


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("js-default", {"html": False, "linkify": False, "breaks": True})
    parser.options["highlight"] = lambda code, name, _: (
        _highlighted(code, name, longest=_LONGEST_HIGHLIGHTED_LIVE) or ""
    )
    formulas.add_formulas(parser)
    return parser.disable("image")


@lru_cache(maxsize=8)
def _faithful_parser(language: str) -> MarkdownIt:
    """Return a parser that keeps what a judge must see: backslashes of formulas, and the stars of 2*3*4."""
    parser = MarkdownIt("js-default", {"html": False, "linkify": False, "breaks": True})
    parser.options["highlight"] = lambda code, name, _: _highlighted(code, name or language) or ""
    parser.inline.ruler.at("emphasis", _emphasis_outside_products)
    return parser.disable(["image", "escape", "entity"])


def render_markdown(text: str) -> SafeString:
    """Return a model's text as HTML that can do nothing but be read; links leave no trace of where they were.

    Code is coloured where its language is named, formulas are MathML.
    """
    return _cleaned(_parser(), _parser().parse(text), tags=_TAGS | {"span", "div"} | formulas.TAGS)


@lru_cache(maxsize=512)
def render_faithfully(text: str, *, language: str = "") -> SafeString | None:
    """Return a text that is to be judged as safe HTML with coloured code, None where it is best shown as it is.

    That is so where it holds no Markdown; and in a programming `language`, where it has no fenced code: Markdown
    would eat the indentation and the underscores of code.
    """
    if language and not _FENCE.search(text):
        return None
    parser = _faithful_parser(language)
    tokens = parser.parse(text)
    if all(token.type in _PLAIN_BLOCKS and _is_plain(token) for token in tokens):
        return None
    return _cleaned(parser, tokens, tags=_TAGS | {"span"})


@lru_cache(maxsize=512)
def highlight_code(code: str, *, language: str) -> SafeString | None:
    """Return code in coloured, safe HTML for a `pre`; None where its language is not known or it is too long."""
    html = _highlighted(code, language)
    return None if html is None else _clean(html, tags={"span"})


def _is_plain(token: Token) -> bool:
    return all(part.type in _PLAIN_PARTS for part in token.children or ())


def _cleaned(parser: MarkdownIt, tokens: Sequence[Token], *, tags: set[str]) -> SafeString:
    for token in tokens:
        token.tag = _LOWER_HEADINGS.get(token.tag, token.tag)
    return _clean(parser.renderer.render(tokens, parser.options, {}), tags=tags)


def _clean(html: str, *, tags: set[str]) -> SafeString:
    cleaned = nh3.clean(
        html,
        tags=tags,
        attributes={"*": set(), "a": {"href"}, "ol": {"start"}, **(formulas.ATTRIBUTES if "math" in tags else {})},
        allowed_classes=_allowed_classes(tags),
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(cleaned)  # noqa: S308  cleaned by nh3 just now


def _allowed_classes(tags: set[str]) -> dict[str, set[str]]:
    colours = {"span": set(_classes())} if "span" in tags else {}
    return colours | formulas.CLASSES if "math" in tags else colours


def _highlighted(code: str, language: str, *, longest: int = _LONGEST_HIGHLIGHTED) -> str | None:
    """Return code as HTML with a class for each kind of word, None where that cannot be done."""
    name = _ALIASES.get(language.lower(), language.lower())
    if name not in _LANGUAGES or len(code) > longest:
        return None
    from pygments import highlight  # takes a while to import, and few processes show code
    from pygments.formatters.html import HtmlFormatter  # the package finds it by name, which two threads at once break
    from pygments.lexers import get_lexer_by_name

    lexer = get_lexer_by_name(name, stripnl=False, ensurenl=False)
    return str(highlight(code, lexer, HtmlFormatter(nowrap=True, classprefix=_CLASS_PREFIX)))


@lru_cache(maxsize=1)
def _classes() -> frozenset[str]:
    from pygments.token import STANDARD_TYPES

    return frozenset(_CLASS_PREFIX + name for name in STANDARD_TYPES.values() if name)


def _emphasis_outside_products(state: StateInline, silent: bool) -> bool:
    """Leave the stars between two factors as they are; all others may mean emphasis."""
    if not silent and state.src[state.pos] == "*" and state.pos > 0:
        found = _IN_A_PRODUCT.match(state.src, state.pos - 1)
        if found is not None:
            state.pending += found[1]
            state.pos += len(found[1])
            return True
    return tokenize_emphasis(state, silent)
