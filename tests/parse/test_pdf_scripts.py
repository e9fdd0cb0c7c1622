"""Letters of a PDF: what runs from right to left, and forms that are one letter or several."""

from tests.parsing import parsed, text_of


def mapped(letters: str, shown_as: bytes, x: int = 300) -> bytes:
    """A PDF that draws letters of Helvetica which its font maps to other characters."""
    codes = sorted(set(shown_as) - {32})
    signs = {code: letters[shown_as.index(code)] for code in codes}
    table = "\n".join(f"<{code:02x}> <{sign.encode('utf-16-be').hex()}>" for code, sign in signs.items())
    cmap = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapType 2 def\n"
        f"1 begincodespacerange <00> <ff> endcodespacerange\n{len(signs)} beginbfchar\n{table}\nendbfchar endcmap end end"
    ).encode()
    content = b"BT /F1 12 Tf %d 700 Td (%s) Tj ET" % (x, shown_as)
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding/ToUnicode 6 0 R>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(cmap), cmap),
    ]
    out, places = b"%PDF-1.4\n", list[int]()
    for number, part in enumerate(parts, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    end = b"trailer<</Size 7/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(out)
    return out + b"xref\n0 7\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % p for p in places) + end


def test_hebrew_and_arabic_are_read_from_right_to_left() -> None:
    seen = "םולש ברע"  # as drawn from left to right: "good evening" read backwards
    assert text_of(parsed(mapped(seen, b"abcd efg"), "h.pdf")) == "ערב שלום"
    forms = "\ufee1\ufefc\ufeb3"  # final meem, lam with alef, initial seen
    assert text_of(parsed(mapped(forms, b"abc"), "a.pdf")) == "سلام"


def test_ligatures_are_letters() -> None:
    assert text_of(parsed(mapped("o\ufb03ce \ufb01rst", b"abcd efgh"), "l.pdf")) == "office first"
