"""PDF: words, their order, and what they are, by their places on the page."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import Text
from reportlab.pdfgen.canvas import Canvas

from moat.errors import ParseDamaged, ParseFailed, ParseLocked
from moat.parse.document import parse_document
from moat.parse.options import Parsing
from moat.parse.sandbox import Sandbox
from moat.records import Block, Document, RawDocument
from moat.settings import PROJECT, Settings
from tests.parse.drawn import FILLER, Draw, drawn, left_out, lines
from tests.parsing import invented_words, lost_words, parsed, shown, text_of, title_of

SAMPLES = PROJECT / "include" / "samples"


def kinds(blocks: list[Block]) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in shown(blocks)]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(Settings.model_validate({"home": tmp_path_factory.mktemp("home")})) as made:
        yield made


def in_sandbox(sandbox: Sandbox, path: Path) -> Document:
    return sandbox.parse(
        RawDocument(
            key="k",
            uri="u",
            name=path.name,
            fingerprint="",
            content=path.read_bytes(),
            content_hash="",
            policy="",
            access_version=0,
        )
    )


def test_the_outline_gives_the_headings_with_their_levels(sandbox: Sandbox) -> None:
    document = in_sandbox(sandbox, SAMPLES / "handbook" / "quality-manual.pdf")
    headings = [(b.level, b.text) for b in document.blocks if b.kind == "heading"]
    assert headings[:3] == [(1, "1. Scope and policy"), (2, "1.1 Scope"), (2, "1.2 Quality policy")]
    assert document.n_pages == 5
    assert "Quality" in document.title


def test_a_ruled_table_is_rows_with_its_own_header(sandbox: Sandbox) -> None:
    document = in_sandbox(sandbox, SAMPLES / "contracts" / "cargo-insurance-summary.pdf")
    (table,) = [b.text for b in document.blocks if b.kind == "table"]
    rows = table.split("\n")
    assert rows[0] == "| Section | Limit for one event | Limit for the year | Deductible |"
    assert all(row.count("|") == 5 for row in rows)
    outside = " ".join(b.text for b in document.blocks if b.kind != "table")
    assert rows[2].split("|")[2].strip() not in outside


def test_tables_of_real_filings_keep_rows_together_under_their_periods(sandbox: Sandbox, shared: Path) -> None:
    document = in_sandbox(sandbox, shared / "sec10q" / "docs" / "2023 Q3 AAPL.pdf")
    tables = [b.text for b in document.blocks if b.kind == "table"]
    sales = next(t for t in tables if "Total net sales" in t)
    assert "| Products | $ 60,584 | $ 63,355 | $ 230,901 | $ 245,241 |" in sales
    assert "Three Months Ended July 1, 2023" in sales.split("\n")[0]
    assert len(tables) > 20


def handbook(*, outline: bool) -> bytes:
    titles = ["Duties", "Working hours", "Pay", "Leave", "Safety at work"]

    def contents(canvas: Canvas) -> None:
        canvas.setFont("Helvetica-Bold", 16)
        canvas.drawString(72, 720, "Contents")
        canvas.setFont("Helvetica", 10)
        lines(canvas, [f"{n}.1 {title} {'. ' * 40}{n + 1}" for n, title in enumerate(titles, 1)], y=690)

    def chapter(number: int, title: str) -> Draw:
        def draw(canvas: Canvas) -> None:
            lines(canvas, [f"{title} {n} {FILLER[:50]}" for n in range(3)], y=740)
            if outline:
                canvas.bookmarkHorizontal(f"c{number}", 0, 660)
                canvas.addOutlineEntry(title, f"c{number}", 0)
            canvas.setFont("Helvetica-Bold", 14)
            canvas.drawString(72, 650, f"{number}.1 {title}")
            canvas.setFont("Helvetica", 10)
            lines(canvas, [FILLER[:80], FILLER[:60] + " well."], y=620)

        return draw

    return drawn(contents, *(chapter(n, title) for n, title in enumerate(titles, 1)))


@pytest.mark.parametrize("outline", [True, False], ids=["outline", "look"])
def test_headings_are_found_with_their_numbers_and_a_contents_page_has_none(outline: bool) -> None:
    blocks = parsed(handbook(outline=outline), "h.pdf")
    assert [(b.text, b.level, b.page) for b in blocks if b.kind == "heading"] == [
        ("1.1 Duties", 1, 2),
        ("2.1 Working hours", 1, 3),
        ("3.1 Pay", 1, 4),
        ("4.1 Leave", 1, 5),
        ("5.1 Safety at work", 1, 6),
    ]
    (contents,) = [b for b in blocks if b.left_out]
    assert contents.left_out == "contents page"
    assert contents.text.startswith("Contents\n1.1 Duties")


def test_a_price_list_with_dots_is_no_contents_page() -> None:
    dishes = ["Soup", "Bread", "Herring", "Cod", "Eel"]
    content = drawn(lambda c: lines(c, [f"{d} {'. ' * 30}{n * 3}" for n, d in enumerate(dishes, 1)]))
    assert not left_out(parsed(content, "p.pdf"))


def test_two_columns_are_read_one_after_the_other_however_they_were_drawn() -> None:
    left = [f"left {n} words that fill the whole of the column" for n in range(12)]
    right = [f"right {n} words that fill the whole of it too" for n in range(12)]

    def draw(canvas: Canvas) -> None:
        canvas.drawString(
            72, 730, "A line over both of the columns says what the whole article on this page is all about."
        )
        for n in range(12):
            canvas.drawString(330, 700 - 12 * n, right[n])
            canvas.drawString(72, 700 - 12 * n, left[n])

    text = text_of(parsed(drawn(draw), "c.pdf"))
    assert text.split("\n")[1:] == [" ".join(left), " ".join(right)]


def test_a_table_without_lines_is_a_table() -> None:
    rows = [
        ("Berth", "Depth", "Crane"),
        ("North", "9 m", "none"),
        ("South | East", "12 m", "40 t"),
        ("West", "7 m", "8 t"),
    ]

    def draw(canvas: Canvas) -> None:
        lines(canvas, [FILLER[:90]], y=730)
        for n, row in enumerate(rows):
            for x, cell in zip((72, 220, 380), row, strict=True):
                canvas.drawString(x, 700 - 14 * n, cell)
        lines(canvas, [FILLER[:90]], y=600)

    found = kinds(parsed(drawn(draw), "t.pdf"))
    assert [kind for kind, _ in found] == ["text", "table", "text"]
    assert found[1][1].split("\n") == [
        "| Berth | Depth | Crane |",
        "| --- | --- | --- |",
        "| North | 9 m | none |",
        "| South \\| East | 12 m | 40 t |",
        "| West | 7 m | 8 t |",
    ]


def test_a_ruled_table_repeats_what_a_merged_cell_says() -> None:
    def draw(canvas: Canvas) -> None:
        for x in (72, 200, 300, 400):
            canvas.line(x, 700, x, 640)
        for y in (700, 660, 640):
            canvas.line(72, y, 400, y)
        canvas.line(200, 680, 400, 680)
        for x, y, text in ((80, 675, "North"), (210, 686, "A"), (310, 686, "B"), (210, 666, "C"), (310, 666, "D")):
            canvas.drawString(x, y, text)
        for x, text in ((80, "South"), (210, "E"), (310, "F")):
            canvas.drawString(x, 646, text)

    (table,) = [b.text for b in parsed(drawn(draw), "t.pdf") if b.kind == "table"]
    rows = [line for line in table.split("\n") if "---" not in line]
    assert rows == ["| North | A | B |", "| North | C | D |", "| South | E | F |"]


def test_paragraphs_lists_and_code_are_told_apart() -> None:
    def draw(canvas: Canvas) -> None:
        lines(
            canvas,
            ["The quay is open to all boats of the har-", "bour from six in the morning, all through", "the year."],
            y=730,
        )
        lines(canvas, ["• Moor with two lines.", "• Tell the harbour master."], y=680)
        lines(canvas, ["1. Open the valve.", "2. Close the valve."], y=640)
        canvas.setFont("Courier", 10)
        lines(canvas, ["def moor(boat):", "    return boat.lines(2)"], x=90, y=600)

    assert kinds(parsed(drawn(draw), "k.pdf")) == [
        ("text", "The quay is open to all boats of the harbour from six in the morning, all through the year."),
        ("list", "- Moor with two lines."),
        ("list", "- Tell the harbour master."),
        ("list", "1. Open the valve."),
        ("list", "2. Close the valve."),
        ("code", "```\ndef moor(boat):\n    return boat.lines(2)\n```"),
    ]


def test_form_values_stand_beside_their_labels_with_check_marks() -> None:
    def draw(canvas: Canvas) -> None:
        form = canvas.acroForm
        lines(canvas, ["Boat:", "Length", "Carries fuel:"], y=700, step=30)
        canvas.drawString(130, 610, "Has insurance")
        form.textfield(name="a", value="Nordwind", x=150, y=694, width=200, height=18)
        form.textfield(name="b", value="14 m", x=150, y=664, width=200, height=18)
        form.checkbox(name="c", checked=True, x=150, y=636, size=14)
        form.checkbox(name="d", checked=False, x=110, y=606, size=14)
        form.textfield(name="Skipper", value="Alva", x=150, y=300, width=200, height=18)

    text = text_of(parsed(drawn(draw), "f.pdf"))
    assert text.split("\n") == [
        "Boat: Nordwind", "Length: 14 m", "Carries fuel: ☑", "Has insurance: ☐", "Skipper: Alva",
    ]  # fmt: skip


def noted(subtype: str = "/Text") -> bytes:
    writer = PdfWriter(
        clone_from=io.BytesIO(drawn(lambda c: lines(c, ["The limit is 12 t.", "", "", "The crane is old."])))
    )
    note = Text(rect=(300, 690, 320, 710), text="It is 9 t since May.")
    from pypdf.generic import NameObject

    note[NameObject("/Subtype")] = NameObject(subtype)
    writer.add_annotation(0, note)
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def test_a_note_stands_at_its_place_or_is_declared() -> None:
    texts = ["The limit is 12 t.", "It is 9 t since May.", "The crane is old."]
    assert [b.text for b in shown(parsed(noted(), "n.pdf"))] == texts
    blocks = parsed(noted(), "n.pdf", Parsing(notes=False))
    assert left_out(blocks) == [("note", "It is 9 t since May.", 1)]
    assert [b.text for b in shown(parsed(noted("/FreeText"), "n.pdf", Parsing(notes=False)))] == texts


def test_the_target_of_a_link_stands_after_its_text() -> None:
    def draw(canvas: Canvas) -> None:
        lines(canvas, ["See the tide tables now."])
        canvas.linkURL("https://example.com/tides", (72, 695, 200, 712))

    assert "tables now. (https://example.com/tides)" in text_of(parsed(drawn(draw), "l.pdf"))
    blocks = parsed(drawn(draw), "l.pdf", Parsing(links=False))
    assert left_out(blocks) == [("link target", "https://example.com/tides", 1)]
    assert text_of(blocks) == "See the tide tables now."


def test_attached_files_are_read_under_their_names() -> None:
    writer = PdfWriter(clone_from=io.BytesIO(drawn(lambda c: lines(c, ["The plan is attached."]))))
    writer.add_attachment("plan.txt", b"Dig the basin first.")
    writer.add_attachment("broken.docx", b"PK\x03\x04 nothing")
    file = io.BytesIO()
    writer.write(file)
    blocks = parsed(file.getvalue(), "a.pdf")
    assert ("heading", "plan.txt") in kinds(blocks)
    assert ("text", "Dig the basin first.") in kinds(blocks)
    assert [rule for rule, text, _ in left_out(blocks) if "broken.docx" in text] == ["unreadable part"]


def test_turned_text_is_read_along_its_own_direction() -> None:
    def draw(canvas: Canvas) -> None:
        lines(canvas, [FILLER[:80], FILLER[:70]])
        canvas.translate(40, 300)
        canvas.rotate(90)
        canvas.drawString(0, 0, "Printed on recycled paper")

    assert text_of(parsed(drawn(draw), "r.pdf")).split("\n")[-1] == "Printed on recycled paper"


def test_the_title_is_the_largest_text_where_a_program_set_the_other() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica-Bold", 22)
        canvas.drawString(72, 740, "Rules of the harbour")
        canvas.setFont("Helvetica", 10)
        lines(canvas, [FILLER[:80], FILLER[:70]])

    assert title_of(drawn(draw), "t.pdf") == "Rules of the harbour"
    assert title_of(drawn(draw, title="Harbour rules 2026"), "t.pdf") == "Harbour rules 2026"
    assert title_of(drawn(lambda c: lines(c, [FILLER[:80], FILLER[:70]])), "t.pdf") == ""


def test_a_pdf_with_a_password_says_so() -> None:
    writer = PdfWriter(clone_from=io.BytesIO(drawn(lambda c: lines(c, ["Secret"]))))
    writer.encrypt("key", algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    with pytest.raises(ParseFailed, match="needs a password"):
        parsed(file.getvalue(), "p.pdf")


def test_a_damaged_page_is_declared_and_loses_only_itself() -> None:
    content = drawn(*(lambda c, n=n: lines(c, [f"Page of berth {n}", FILLER[:60]]) for n in (1, 2, 3)))
    reader = PdfReader(io.BytesIO(content))
    reference = reader.pages[1].indirect_reference
    assert reference is not None
    number = reference.idnum
    damaged = content.replace(b"\n%d 0 obj\n<<" % number, b"\n%d 0 obj\n[[" % number)
    blocks = parsed(damaged, "d.pdf")
    assert "berth 1" in text_of(blocks)
    assert "berth 3" in text_of(blocks)


@pytest.mark.parametrize(
    ("file", "right"),
    [
        ("ligatures.pdf", ["The office of the field officer is on the first floor.", "the effect is affirmed"]),
        ("form.pdf", ["Name: Nordkran AB", "Country: Sweden", "Certified to ISO 9001: ☑"]),
        ("annotation.pdf", ["The limit of crane 3 is 12 tonnes.", "the limit is 9 tonnes since May."]),
    ],
)
def test_files_that_lost_words_before_keep_them(shared: Path, file: str, right: list[str]) -> None:
    text = text_of(parsed((shared / "words" / file).read_bytes(), file))
    assert all(words in text for words in right)


def test_a_handbook_has_its_words_apart_and_its_headings_of_the_outline(shared: Path) -> None:
    content = (shared / "crossformat" / "devref" / "developers-reference.pdf").read_bytes()
    blocks = parsed(content, "developers-reference.pdf")
    assert "It holds the official web pages" in text_of(blocks)
    assert sum(b.kind == "heading" for b in blocks) >= 275
    assert not [b for b in blocks if b.kind == "heading" and (b.page or 0) < 10]
    assert {b.page for b in blocks if b.left_out == "contents page"} <= set(range(1, 11))


WORDS = st.lists(
    st.sampled_from(["alpha", "boat", "crane", "dock", "east", "ferry", "gate", "hull", "island", "jetty"]),
    min_size=1,
    max_size=60,
)
PARTS = st.lists(
    st.tuples(st.sampled_from(["text", "heading", "list", "code", "table"]), WORDS), min_size=1, max_size=6
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PARTS)
def test_every_word_is_read_in_its_order(parts: list[tuple[str, list[str]]]) -> None:
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import ListFlowable, Paragraph, Preformatted, SimpleDocTemplate, Table

    styles, story = getSampleStyleSheet(), []
    written = list[str]()
    for at, (kind, words) in enumerate(parts):
        marked = [f"{word}{at}" for word in words]
        if kind == "list":
            story.append(ListFlowable([Paragraph(word, styles["Normal"]) for word in marked], bulletType="bullet"))
        elif kind == "code":
            story.append(Preformatted("\n".join(marked), styles["Code"]))
        elif kind == "table":
            marked = (marked * 4)[: max(8, len(marked) // 2 * 2)]
            rows = [marked[i : i + 2] for i in range(0, len(marked), 2)]
            story.append(Table(rows, style=[("GRID", (0, 0), (-1, -1), 1, "black")]))
        else:
            style = styles["Heading2" if kind == "heading" else "Normal"]
            story.append(Paragraph(" ".join(marked), style))
        written += marked
    file = io.BytesIO()
    SimpleDocTemplate(file).build(story)
    text = text_of(parsed(file.getvalue(), "p.pdf")).replace("|", " ").replace("- ", " ")
    assert [word for word in text.split() if word.isalnum()] == written
    assert not lost_words(file.getvalue(), "p.pdf")
    assert not invented_words(file.getvalue(), "p.pdf")


def test_what_is_locked_cut_off_or_damaged_is_told_apart_from_a_scan() -> None:
    page = io.BytesIO()
    paper = Canvas(page)
    for n in range(3):
        paper.drawString(40, 800, f"Page {n} of the tariff")
        paper.showPage()
    paper.save()
    whole = page.getvalue()
    empty = io.BytesIO()
    paper = Canvas(empty)
    paper.line(40, 40, 200, 200)
    paper.save()
    locked = pdf_with_password(whole)
    for content, error, said in (
        (locked, ParseLocked, "needs a password"),
        (whole[: len(whole) // 2], ParseDamaged, "is cut off"),
        (whole[: len(whole) * 9 // 10], ParseDamaged, "is cut off"),
        (whole[:500] + b"\0" * (len(whole) - 500), ParseDamaged, "is cut off"),
        (whole[:500] + bytes(len(whole) - 600) + whole[-100:], ParseDamaged, "is damaged"),
        (empty.getvalue(), ParseFailed, "holds no text"),
    ):
        with pytest.raises(ParseFailed, match=said) as raised:
            parse_document(content, "tariff.pdf", Parsing(), 10_000)
        assert type(raised.value) is error


def pdf_with_password(content: bytes) -> bytes:
    writer = PdfWriter(PdfReader(io.BytesIO(content)))
    writer.encrypt("secret", algorithm="AES-256")
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()
