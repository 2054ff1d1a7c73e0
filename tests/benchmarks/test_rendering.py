import re
from html.parser import HTMLParser

import pytest

from benchmarks.rendering import highlight_code, render_faithfully, render_markdown

# what has got through sanitisers: written as Markdown, as HTML, and as both
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<style>body{display:none}</style>",
    "<form action=/account/sign-out/><button>go</button></form>",
    "<a href='javascript:alert(1)'>x</a>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\nscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](vbscript:msgbox(1))",
    "[x](file:///etc/passwd)",
    "<javascript:alert(1)>",
    "![x](javascript:alert(1))",
    "![x](http://elsewhere/pixel.png)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    '[x](http://a "onmouseover=alert(1)")',
    "[x](http://a'onmouseover='alert(1))",
    '[x](http://a"onmouseover="alert(1))',
    "[x]: javascript:alert(1)\n\n[x]",
    "```html\n<script>alert(1)</script>\n```",
    '``` "><script>alert(1)</script>\nx\n```',
    "`<script>alert(1)</script>`",
    "# <script>alert(1)</script>",
    "| <script>alert(1)</script> |\n|:-:|\n| <img src=x onerror=alert(1)> |",
    "> <script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<div style='position:fixed;inset:0'>x</div>",
    "<base href='http://elsewhere/'>",
    "<meta http-equiv=refresh content='0;url=http://elsewhere/'>",
    "<template data-text hx-get='/account/sign-out/' hx-trigger='load'></template>",
]
# and as formulas, in which LaTeX might write HTML, addresses, styles or ids
HOSTILE_FORMULAS = [
    "$<script>alert(1)</script>$",
    "$\\text{<img src=x onerror=alert(1)>}$",
    "$$\\text{</mtext></math><script>alert(1)</script>}$$",
    "\\(\\mbox{</math><style><img src=x onerror=alert(1)></style>}\\)",
    "\\[\\href{javascript:alert(1)}{x}\\]",
    "$\\url{javascript:alert(1)}$",
    "$\\includegraphics{http://elsewhere/pixel.png}$",
    "$\\htmlClass{hl-k}{x} \\htmlId{composer}{y} \\htmlStyle{position:fixed}{z}$",
    "$\\style{position:fixed}{x}$",
    '$\\class{x" onclick="alert(1)}{x}$',
    "$\\color{red;position:fixed}{x}$",
    "$\\cssId{prompt}{x}\\label{y}$",
    "$$\\begin{equation}x\\label{composer}\\tag{<b>1</b>}\\end{equation}$$",
    "$\\unicode{60}script\\unicode{62}$",
    "$\\char60 script$",
    "$\\def\\a{\\a\\a}\\a$",
    "$\\foo{<img src=x onerror=alert(1)>}$",
    "\\begin{align}<svg onload=alert(1)>&=1\\end{align}",
    "$&lt;script&gt;$",
    "$x$<math><mtext><img src=x onerror=alert(1)></mtext></math>",
]
ALLOWED_ATTRIBUTES = {"href", "rel", "start"}
ALLOWED_TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s", "strong",
    "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
FORMULA_TAGS = {
    "div", "math", "menclose", "mfrac", "mi", "mn", "mo", "mover", "mrow", "mspace", "msqrt", "mstyle", "msub", "msup",
    "mtable", "mtd", "mtext", "mtr", "munder", "munderover",
}  # fmt: skip
FORMULA_ATTRIBUTES = {
    "class", "display", "displaystyle", "form", "lspace", "mathvariant", "rspace", "scriptlevel", "stretchy", "width",
}  # fmt: skip


class Seen(HTMLParser):
    """What a browser would make of the HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.classes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.classes.update(word for name, value in attrs if name == "class" for word in (value or "").split())
        self.addresses += [value or "" for name, value in attrs if name == "href"]


class TestRenderMarkdown:
    @pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
    def test_lets_nothing_through_that_can_act(self, text: str) -> None:
        seen = Seen(render_markdown(text))
        assert seen.tags <= ALLOWED_TAGS | {"span"}
        assert seen.attributes <= ALLOWED_ATTRIBUTES | {"class"}
        assert all(name.startswith("hl-") for name in seen.classes)
        assert all(re.match(r"https?:|mailto:", address) for address in seen.addresses)

    @pytest.mark.parametrize("text", HOSTILE + HOSTILE_FORMULAS, ids=range(len(HOSTILE) + len(HOSTILE_FORMULAS)))
    def test_lets_no_formula_and_no_code_act(self, text: str) -> None:
        for written in (text, f"$x$ {text}", f"$\\text{{{text}}}$", f"$$\n{text}\n$$", f"```python\n{text}\n```"):
            seen = Seen(render_markdown(written))
            assert seen.tags <= ALLOWED_TAGS | FORMULA_TAGS | {"span"}
            assert seen.attributes <= ALLOWED_ATTRIBUTES | FORMULA_ATTRIBUTES
            assert all(name.startswith("hl-") or name in {"formula", "to-left", "to-right"} for name in seen.classes)
            assert all(re.match(r"https?:|mailto:", address) for address in seen.addresses)

    @pytest.mark.parametrize(
        ("text", "html"),
        [
            ("**bold** and *slanted*", "<p><strong>bold</strong> and <em>slanted</em></p>\n"),
            ("# Title", "<h3>Title</h3>\n"),
            ("- one\n- two", "<ul>\n<li>one</li>\n<li>two</li>\n</ul>\n"),
            ("3. third", '<ol start="3">\n<li>third</li>\n</ol>\n'),
            ("one\ntwo", "<p>one<br>\ntwo</p>\n"),
            ("```\nif 1 < 2:\n    pass\n```", "<pre><code>if 1 &lt; 2:\n    pass\n</code></pre>\n"),
            ("```py\npass\n```", '<pre><code><span class="hl-k">pass</span>\n</code></pre>\n'),
            ("```nonsense\npass\n```", "<pre><code>pass\n</code></pre>\n"),
            (
                "[there](https://example.org/a?b=1&c=2)",
                '<p><a href="https://example.org/a?b=1&amp;c=2" rel="noopener noreferrer nofollow">there</a></p>\n',
            ),
            ("", ""),
            ("2 < 3 & 4 > 1", "<p>2 &lt; 3 &amp; 4 &gt; 1</p>\n"),
        ],
    )
    def test_writes_what_markdown_means(self, text: str, html: str) -> None:
        assert render_markdown(text) == html

    def test_writes_tables(self) -> None:
        assert {"table", "thead", "th", "tbody", "td"} <= Seen(render_markdown("| a | b |\n|--:|---|\n| 1 | 2 |")).tags

    @pytest.mark.slow
    @pytest.mark.parametrize("text", ["> " * 5000, "[" * 5000, "*" * 5000, "- " * 3000, "`" * 5000])
    def test_takes_the_depths_of_a_model_that_repeats_itself(self, text: str) -> None:
        assert isinstance(render_markdown(text), str)


class TestRenderFaithfully:
    @pytest.mark.parametrize("language", ["", "python", "sql"])
    @pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
    def test_lets_nothing_through_that_can_act(self, text: str, language: str) -> None:
        for written in (text, f"**x** {text}", f"```{language}\n{text}\n```", f"# a\n\n{text}\n\n```\n{text}\n```"):
            seen = Seen(render_faithfully(written, language=language) or "")
            assert seen.tags <= ALLOWED_TAGS | {"span"}
            assert seen.attributes <= ALLOWED_ATTRIBUTES | {"class"}
            assert all(name.startswith("hl-") for name in seen.classes)
            assert all(re.match(r"https?:|mailto:", address) for address in seen.addresses)

    @pytest.mark.parametrize(
        "text", ["", "4", "One.\n\n  Two.", "2*3*4", "2**3", "(2+3)*4*(5)", "\\[ x_1 \\] & <b>", "a_b_c"]
    )
    def test_leaves_a_text_without_markdown_as_it_is(self, text: str) -> None:
        assert render_faithfully(text) is None

    @pytest.mark.parametrize(
        ("text", "html"),
        [
            ("2*3*4 = **24**", "<p>2*3*4 = <strong>24</strong></p>\n"),
            ("\\(x\\) is *seen*", "<p>\\(x\\) is <em>seen</em></p>\n"),
            ("&lt; is **kept**", "<p>&amp;lt; is <strong>kept</strong></p>\n"),
        ],
    )
    def test_keeps_what_a_judge_must_see(self, text: str, html: str) -> None:
        assert render_faithfully(text) == html

    def test_colours_fenced_code_and_takes_the_language_of_the_task_where_none_is_named(self) -> None:
        assert '<span class="hl-k">return</span>' in str(render_faithfully("```py\nreturn 1\n```"))
        assert '<span class="hl-k">SELECT</span>' in str(render_faithfully("```\nSELECT 1\n```", language="sql"))
        assert "span" not in str(render_faithfully("```nonsense\nSELECT 1\n```"))

    def test_leaves_code_without_fences_alone(self) -> None:
        assert render_faithfully("class A:\n    def __init__(self): *x*", language="python") is None

    @pytest.mark.slow
    @pytest.mark.parametrize("text", ["> " * 5000, "[" * 5000, "*" * 5000, "1*" * 5000, "- " * 3000, "`" * 5000])
    def test_takes_the_depths_of_a_model_that_repeats_itself(self, text: str) -> None:
        assert isinstance(render_faithfully(text), str | None)


class TestHighlightCode:
    @pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
    def test_lets_nothing_through_that_can_act(self, text: str) -> None:
        seen = Seen(highlight_code(text, language="python") or "")
        assert seen.tags <= {"span"}
        assert seen.attributes <= {"class"}

    def test_changes_nothing_of_the_code(self) -> None:
        code = "\n\ndef f(a):\n\treturn a <  2  \n\n"
        parts = re.sub(r"<[^>]+>", "", str(highlight_code(code, language="python")))
        assert parts.replace("&lt;", "<") == code

    @pytest.mark.parametrize(("code", "language"), [("x", "brainfuck"), ("x", ""), ("x" * 20_001, "python")])
    def test_leaves_alone_what_it_does_not_know_or_is_too_long(self, code: str, language: str) -> None:
        assert highlight_code(code, language=language) is None
