"""Running heads and page numbers: told by their place on most pages, left out and declared."""

from collections.abc import Callable

from reportlab.pdfgen.canvas import Canvas

from tests.parse.drawn import FILLER, Draw, drawn, left_out, lines
from tests.parsing import parsed, shown, text_of


def manual(n: int, head: Callable[[Canvas, int], None]) -> bytes:
    def page(number: int) -> Draw:
        def draw(canvas: Canvas) -> None:
            head(canvas, number)
            lines(canvas, [f"{FILLER[:60]} {'abcdefghij'[number % 10] * 3}", FILLER[:50]], y=690)

        return draw

    return drawn(*(page(number) for number in range(1, n + 1)))


def test_a_head_and_a_page_number_are_left_out_and_declared_on_every_page() -> None:
    def head(canvas: Canvas, number: int) -> None:
        canvas.drawString(72, 760, "Harbour manual")
        canvas.drawRightString(540, 760, f"Issue 7, page {number + 2}")
        canvas.drawCentredString(306, 30, f"{number + 2}")

    blocks = parsed(manual(12, head), "m.pdf")
    assert sum(b.left_out == "page number" for b in blocks) == 12
    assert {b.page for b in blocks if b.left_out == "running head"} == set(range(1, 13))
    assert "Harbour manual" not in text_of(blocks)
    assert "Issue" not in text_of(blocks)
    assert len([b for b in shown(blocks) if b.text.startswith("Boats moor")]) == 12


def test_lines_that_differ_in_digits_stay_whatever_their_place() -> None:
    loads = [12, 7, 30, 7, 55, 3, 18, 41]
    content = manual(8, lambda canvas, n: canvas.drawString(72, 760, f"Maximum load: {loads[n - 1]} t"))
    blocks = parsed(content, "m.pdf")
    assert not left_out(blocks)
    assert all(f"Maximum load: {load} t" in text_of(blocks) for load in loads)


def test_a_page_that_says_nothing_but_what_looks_like_a_head_keeps_it() -> None:
    content = drawn(*(lambda c, n=n: c.drawString(72, 760, f"Order {n}") for n in range(1, 12)))
    assert [b.text for b in shown(parsed(content, "o.pdf"))] == [f"Order {n}" for n in range(1, 12)]


def test_heads_of_left_and_right_pages_take_turns() -> None:
    def head(canvas: Canvas, number: int) -> None:
        if number % 2:
            canvas.drawRightString(540, 760, f"Crane safety | {number}")
        else:
            canvas.drawString(72, 760, f"{number} | Tidewater Freight")

    blocks = parsed(manual(10, head), "m.pdf")
    assert sum(b.left_out == "running head" for b in blocks) == 10
    assert "Tidewater" not in text_of(blocks)
    assert "Crane safety" not in text_of(blocks)


def test_a_head_with_the_name_of_the_chapter_is_one() -> None:
    names = ["Mooring", "Mooring", "Mooring", "Cranes", "Cranes", "Cranes", "Fire", "Fire", "Fire"]
    blocks = parsed(manual(9, lambda c, n: c.drawString(72, 760, f"Chapter: {names[n - 1]}")), "m.pdf")
    assert [text for rule, text, _ in left_out(blocks) if rule == "running head"] == [f"Chapter: {n}" for n in names]


def test_a_document_of_four_pages_keeps_all() -> None:
    blocks = parsed(manual(4, lambda c, n: c.drawString(72, 760, f"Harbour manual {n}")), "m.pdf")
    assert not left_out(blocks)


def test_a_row_that_repeats_at_the_top_of_each_page_stays_in_its_table() -> None:
    def page(number: int) -> Draw:
        def draw(canvas: Canvas) -> None:
            for row in range(5):
                for x, text in ((72, "Berth"), (250, "Depth"), (400, "Crane")):
                    canvas.drawString(x, 760 - 14 * row, text if not row else f"{text[0]}{row}x{number}")

        return draw

    blocks = parsed(drawn(*(page(n) for n in range(1, 7))), "t.pdf")
    assert not left_out(blocks)
    assert [b.text.split("\n")[0] for b in blocks] == ["| Berth | Depth | Crane |"] * 6
