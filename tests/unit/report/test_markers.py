"""Blocks between markers: only their text changes, and markers that do not pair are refused with their line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.report.markers import END, find_blocks, replace_blocks, unified_diff

BEGIN = "<!-- bench report a.yaml -->"
TEXT = "| a |\n| --- |\n| ± |\n"

around = st.lists(
    st.sampled_from(["text", "", "  <b>", "| x |", "é ±", "<!-- a comment -->", "\x0b\u2028"]), max_size=4
)


def page(*lines: str) -> bytes:
    return "\n".join(lines).encode()


class TestFindBlocks:
    def test_every_block_has_its_lines_and_the_arguments_of_its_command(self) -> None:
        content = page(
            "# Title",
            '<!-- bench report a.yaml --title "A | b" --filter model=resnet* -->',
            "old",
            END,
            "  <!--bench report-->  ",
            "<!--  end bench report  -->",
        )
        first, second = find_blocks(content, "R.md")
        assert (first.line, first.last, second.line, second.last) == (2, 4, 5, 6)
        assert first.arguments == ("a.yaml", "--title", "A | b", "--filter", "model=resnet*")
        assert second.arguments == ()

    @pytest.mark.parametrize("fence", ["```", "~~~~", "   ```markdown"])
    def test_markers_in_code_are_examples(self, fence: str) -> None:
        close = fence.strip().rstrip("markdown")
        content = page(
            fence, BEGIN, END, close, f"    {BEGIN}", f"\t{END}", f"Write `{BEGIN}` and ``{END}``.", BEGIN, END
        )
        assert [block.line for block in find_blocks(content, "R.md")] == [8]

    def test_a_fence_ends_only_with_its_own_kind(self) -> None:
        content = page("````", "```", BEGIN, "~~~", END, "````", BEGIN, END)
        assert [block.line for block in find_blocks(content, "R.md")] == [7]

    @pytest.mark.parametrize(
        ("lines", "faults"),
        [
            ([], ["R.md:1: the file has no marker; put these lines"]),
            (["```", BEGIN, END], ["R.md:1: the file has no marker"]),
            ([BEGIN], ["R.md:1: the block does not end"]),
            (["", END], [f"R.md:2: {END} ends a block that does not begin"]),
            ([END, BEGIN], [f"R.md:1: {END} ends a block", "R.md:2: the block does not end"]),
            ([BEGIN, BEGIN, END], ["R.md:2: a block begins inside the block of line 1"]),
            (
                [BEGIN, "<!-- bench report b.yaml -->", END, END],
                ["R.md:2: a block begins inside the block of line 1", "R.md:4: "],
            ),
            ([BEGIN, END, END], [f"R.md:3: {END} ends a block"]),
            ([BEGIN, END, "", BEGIN, END], ["R.md:4: the same marker stands on line 1"]),
            ([f"See {BEGIN}", END], ["R.md:1: a marker must stand alone", "R.md:2: "]),
            ([f"{BEGIN}{END}"], ["R.md:1: a marker must stand alone"]),
            (["<!-- bench report a.yaml", "-->", END], ["R.md:1: a marker must stand alone", "R.md:3: "]),
            (['<!-- bench report --title "a -->', END], ["R.md:1: the command in the marker cannot be read"]),
        ],
    )
    def test_markers_that_do_not_pair_are_refused_together(self, lines: list[str], faults: list[str]) -> None:
        with pytest.raises(UsageError) as caught:
            find_blocks(page(*lines), "R.md")
        found = str(caught.value).split("\nR.md:")
        assert len(found) == len(faults)
        assert all(fault in str(caught.value) for fault in faults)

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (page(BEGIN, END).decode().encode("utf-16"), "R.md is UTF-16; save it as UTF-8"),
            (b"a\n\xe9\n" + page(BEGIN, END), "R.md:2: a byte is not UTF-8"),
        ],
    )
    def test_a_file_that_is_no_utf_8_is_refused(self, content: bytes, sentence: str) -> None:
        with pytest.raises(UsageError, match=sentence):
            find_blocks(content, "R.md")


class TestReplaceBlocks:
    @settings(max_examples=30, deadline=None)
    @given(around, around, around, st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.booleans())
    def test_every_other_byte_stays(
        self, before: list[str], inside: list[str], after: list[str], end: str, bom: bool, ended: bool
    ) -> None:
        head = "".join(line + end for line in before).encode()
        tail = end.join(after).encode() + (end.encode() if ended else b"")
        mark = b"\xef\xbb\xbf" if bom else b""
        old = "".join(line + end for line in inside).encode()
        first, last = f"{BEGIN}{end}".encode(), f"{END}{end}".encode()
        content = mark + head + first + old + last + tail
        (block,) = find_blocks(content, "R.md")
        new = replace_blocks(content, {block: TEXT})
        inner = "".join(line + end for line in ["", *TEXT.split("\n")]).encode()
        assert new == mark + head + first + inner + last + tail
        (again,) = find_blocks(new, "R.md")
        assert replace_blocks(new, {again: TEXT}) == new

    def test_blocks_without_a_text_stay(self) -> None:
        content = page(BEGIN, "a", END, "<!-- bench report b.yaml -->", "b", END)
        _, second = find_blocks(content, "R.md")
        assert replace_blocks(content, {second: "new\n"}) == page(
            BEGIN, "a", END, "<!-- bench report b.yaml -->", "", "new", "", END
        )

    def test_a_marker_on_the_last_line_without_an_end_stays_so(self) -> None:
        content = page(BEGIN, END)
        assert replace_blocks(content, {find_blocks(content, "R.md")[0]: "x"}) == page(BEGIN, "", "x", "", END)


class TestUnifiedDiff:
    def test_is_empty_for_equal_files_and_else_what_diff_writes(self) -> None:
        assert unified_diff(b"a\n", b"a\n", "R.md") == ""
        assert unified_diff(b"a\nb", b"a\nc", "R.md") == (
            "--- R.md\n+++ R.md (updated)\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n"
            "+c\n\\ No newline at end of file\n"
        )
