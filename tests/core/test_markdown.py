"""Text that others wrote, made harmless for forges."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.markdown import block, carries, code, hidden_marker, link, marked, plain, prose, table, visible

HOSTILE = """/merge @everyone #12 !7 owner/repo#3 GH-9 ~bug %sprint &4 $55 <script>alert(1)</script>
[x](javascript:alert(1)) ![i](http://evil.example/p.png) **b** `c` | d https://evil.example www.evil.example
Closes #1 fixes owner/repo#2 <!-- hidden --> &lt;b&gt; ann@example.com \u202emoc.live\u202c :rocket:"""
PING = re.compile(r"@[\w-]|#\d|![\d]|\bGH-\d|://|\bwww\.", re.IGNORECASE)


@pytest.mark.parametrize("escape", [plain, prose])
def test_nothing_is_mentioned_referred_to_or_linked(escape: object) -> None:
    """No mention, issue, merge request, address or command is left for a renderer to find."""
    assert callable(escape)
    made = escape(HOSTILE, 2000)
    assert PING.search(made) is None
    assert "\n" not in made
    assert "\u202e" not in made
    assert not made.startswith("/")


def test_prose_is_read_as_the_plain_words() -> None:
    """Each character that means something in markdown stands behind a backslash, or is an entity."""
    made = prose("**a** _b_ `c` [d](e) <f> & #1 | ~g~ \\")
    bare = re.sub(r"\\[^A-Za-z0-9\s]|&(?:amp|lt|gt);", "", made)
    assert not set("*_`[]()<>&|~\\#") & set(bare)


def test_words_stay_readable() -> None:
    """A reader sees what was written."""
    assert plain("Bump checkout to v1.2.3 (ann)") == "Bump checkout to v1.2.3 (ann)"
    assert plain("thanks @ann, see #12").replace("\u200b", "") == "thanks @ann, see #12"


def test_long_and_invisible_text_is_cut() -> None:
    """A line is bounded, and has nothing that cannot be seen."""
    assert visible("a\x00b\r\nc\u200bd  e") == "a b c d e"
    assert visible("x" * 400) == "x" * 299 + "…"
    assert len(code("`" * 5000)) < 1000


@given(st.text(max_size=300))
def test_a_code_span_ends_where_it_should(text: str) -> None:
    """Whatever runs of backticks the text has, none closes the span."""
    made = code(text)
    fence = re.match(r"`+", made)
    assert fence is not None
    inner = made[len(fence[0]) : -len(fence[0])]
    assert made.endswith(fence[0])
    assert max((len(run) for run in re.findall(r"`+", inner)), default=0) < len(fence[0])
    assert "|" not in made
    assert "\n" not in made


@given(st.text(max_size=500))
def test_a_block_ends_where_it_should(text: str) -> None:
    """No line of the text closes the block."""
    lines = block(text, "diff").split("\n")
    fence = re.match(r"`+", lines[0])
    assert fence is not None
    assert lines[-1] == fence[0]
    assert not any(line.strip().startswith(fence[0]) for line in lines[1:-1])


def test_a_block_that_is_too_long_says_what_is_missing() -> None:
    """It is cut at the end of a line."""
    made = block("\n".join(f"line {at}" for at in range(1000)), most=100)
    assert re.search(r"\n… 9\d\d more lines\n```$", made)
    assert block("x", "a`b").startswith("```\n")


@given(st.text(max_size=200))
def test_nothing_survives_escaping_that_pings(text: str) -> None:
    """For any text at all."""
    for made in (plain(text), prose(text)):
        assert PING.search(made) is None


def test_links_lead_only_to_the_web() -> None:
    """Another scheme, or a URL that could end the link, is shown and not linked."""
    assert link("Analysis [1]", "https://rollguard.example/a?b=1") == (
        "[Analysis \\[1\\]](<https://rollguard.example/a?b=1>)"
    )
    assert "](" not in link("x", "javascript:alert(1)")
    assert "](" not in link("x", "https://a.example/>)(")


def test_a_table_keeps_its_cells() -> None:
    """A bar in a cell makes no column."""
    assert table(["a", "b"], [[code("x|y"), prose("p|q")]]).split("\n")[2].count(" | ") == 1


def test_a_marker_is_found_where_it_was_put_and_nowhere_else() -> None:
    """A quotation further down is none; a marker that could end the comment cannot be made."""
    body = marked("promotion/checkout", "Text")
    assert carries(body, "promotion/checkout")
    assert not carries(body, "promotion/check")
    assert not carries(f"> {body}", "promotion/checkout")
    for bad in ("a--b", "A", "", "x-->", "a b", "a" * 121, "-a"):
        with pytest.raises(ValueError, match="marker"):
            hidden_marker(bad)
