import pytest

from benchmarks.formulas import mathml
from benchmarks.rendering import render_markdown

X = "<math><mi>x</mi></math>"
SHOWN = '<div class="formula"><math display="block"><mi>x</mi></math></div>\n'
WITHIN = '<math display="block"><mi>x</mi></math>'


class TestFormulas:
    @pytest.mark.parametrize(
        ("text", "html"),
        [
            ("$x$", f"<p>{X}</p>\n"),
            ("so \\(x\\).", f"<p>so {X}.</p>\n"),
            ("the $x$-axis", f"<p>the {X}-axis</p>\n"),
            ("so \\[ x \\] and", f"<p>so {WITHIN} and</p>\n"),
            ("so $$x$$ and", f"<p>so {WITHIN} and</p>\n"),
            ("$$\nx\n$$", SHOWN),
            ("\\[\nx\n\\]\nthen", f"{SHOWN}<p>then</p>\n"),
            ("so\n$$x$$", f"<p>so</p>\n{SHOWN}"),
            ("> \\[ x \\]", f"<blockquote>\n{SHOWN}</blockquote>\n"),
            ("1. so\n   $$x$$", f"<ol>\n<li>so{SHOWN}</li>\n</ol>\n"),
        ],
    )
    def test_are_found(self, text: str, html: str) -> None:
        assert render_markdown(text) == html

    @pytest.mark.parametrize(
        "text",
        ["$5 and $10", "US$5, US$6", "$ x $", "$x", "a $5-$10 range", "$$ $$", "5$x$"],
    )
    def test_leave_money_and_what_does_not_end_alone(self, text: str) -> None:
        assert render_markdown(text) == f"<p>{text}</p>\n"

    @pytest.mark.parametrize(
        ("text", "html"),
        [
            ("\\$x\\$", "<p>$x$</p>\n"),
            ("`$x$`", "<p><code>$x$</code></p>\n"),
            ("```\n$x$\n```", "<pre><code>$x$\n</code></pre>\n"),
            ("    $$\n    x\n    $$", "<pre><code>$$\nx\n$$\n</code></pre>\n"),
        ],
    )
    def test_are_none_in_code_or_escaped(self, text: str, html: str) -> None:
        assert render_markdown(text) == html

    @pytest.mark.parametrize("text", ["\\[\nx", "> \\[\n> x\n\n\\]"])
    def test_that_do_not_end_in_their_block_are_text(self, text: str) -> None:
        assert "<math" not in render_markdown(text)

    def test_of_several_lines_are_aligned_without_styles(self) -> None:
        html = render_markdown("\\begin{align}\na &= b \\\\\n+ c &= d\n\\end{align}")
        assert html.count('<mtd class="to-right">') == 2
        assert html.count('<mtd class="to-left">') == 2
        assert " style=" not in html
        assert "(1)" not in html  # a number that nothing refers to

    def test_keep_lines_that_markdown_would_take_for_its_own(self) -> None:
        html = render_markdown("$$\na\n= b\n- c\n$$")
        assert "<h" not in html
        assert "<ul" not in html
        assert "\N{MINUS SIGN}" in html


class TestMathml:
    @pytest.mark.parametrize(
        "latex",
        ["\\unknown{x}", "\\frac{1}", "{" * 100, "x" * 2001, "\\sqrt{" * 50 + "x" + "}" * 50, "\\def\\a{\\a}\\a"],
    )
    def test_leaves_what_it_cannot_show_as_it_is(self, latex: str) -> None:
        assert mathml(latex, is_block=False) == f"<code>{latex}</code>"

    def test_writes_no_html_of_a_text(self) -> None:
        assert "<b>" not in mathml("\\text{<b>}", is_block=False)
        assert "<b>" not in mathml("\\unknown{<b>}", is_block=False)

    @pytest.mark.parametrize("text", ["$" * 9000, "\\[\n" * 3000, "$$\n" * 3000, "$x" * 5000, "\\begin{align}\n" * 500])
    def test_takes_the_depths_of_a_model_that_repeats_itself(self, text: str) -> None:
        assert isinstance(render_markdown(text), str)
