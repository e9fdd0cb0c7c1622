"""Every format against a peer's reading of the same files, and the same text out of each format."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from moat.errors import ParseFailed
from moat.parse.sandbox import Sandbox
from moat.records import Document, RawDocument
from moat.settings import Settings
from moat.stages.clean import clean


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(Settings.model_validate({"home": tmp_path_factory.mktemp("home")})) as made:
        yield made


def parsed(sandbox: Sandbox, path: Path) -> Document:
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


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))


def text_of(document: Document) -> str:
    return "\n".join(b.text for b in document.blocks)


def overlap(a: Counter[str], b: Counter[str]) -> float:
    """Share of a's words that b has too, each as often."""
    return sum((a & b).values()) / max(1, sum(a.values()))


# Where the peer differs for a reason: least share of its words, and why.
DISPUTED = {
    "embedded-images-tables.pdf": (0.88, "the peer reads letters into its figures by OCR, and its table has no lines"),
    "ideas-page.html": (0.9, "its one table has one cell: it lays out the page"),
}
OLD_OFFICE = () if shutil.which("soffice") else (".doc", ".ppt")


def test_every_format_gives_what_a_peer_reads_in_it(sandbox: Sandbox, shared: Path) -> None:
    missed = {}
    for line in (shared / "formats" / "expected.jsonl").read_text().splitlines():
        expected = json.loads(line)
        path = shared / "formats" / "files" / expected["file"]
        if path.suffix in OLD_OFFICE:
            with pytest.raises(ParseFailed, match="LibreOffice"):
                parsed(sandbox, path)
            continue
        document = parsed(sandbox, path)
        recall = overlap(words(expected["text"]), words(text_of(document)))
        least, _ = DISPUTED.get(path.name, (0.9, ""))
        tables = sum(b.kind == "table" for b in document.blocks)
        if recall < least or (expected["tables"] and not tables and path.name not in DISPUTED):
            missed[path.name] = (round(recall, 3), tables, expected["tables"])
    assert not missed


@pytest.mark.parametrize("kind", ["epub", "html", "pdf"])
def test_a_book_reads_the_same_in_every_format(sandbox: Sandbox, shared: Path, kind: str) -> None:
    folder = shared / "crossformat" / "devref"
    texts = {k: words(text_of(clean(parsed(sandbox, folder / f"developers-reference.{k}"))[0])) for k in ("txt", kind)}
    assert overlap(texts["txt"], texts[kind]) >= 0.98


def test_one_text_reads_the_same_in_fourteen_formats(sandbox: Sandbox, shared: Path) -> None:
    folder = shared / "crossformat" / "eng_spa_mult"
    plain = words(text_of(parsed(sandbox, folder / "eng_spa_mult.txt")))
    paths = [path for path in sorted(folder.iterdir()) if path.suffix not in OLD_OFFICE]
    assert len(paths) >= 12
    for path in paths:
        assert overlap(plain, words(text_of(parsed(sandbox, path)))) >= 0.98, path.name


def test_an_image_is_read_by_ocr(sandbox: Sandbox, tmp_path: Path) -> None:
    document = parsed(sandbox, written_image(tmp_path))
    assert "HARBOUR" in text_of(document).upper()


def written_image(folder: Path) -> Path:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("L", (1_000, 220), 255)
    ImageDraw.Draw(image).text((40, 60), "HARBOUR RULES 2026", 0, ImageFont.load_default(80))
    image.save(folder / "rules.png")
    return folder / "rules.png"
