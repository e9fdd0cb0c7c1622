"""Text of pictures by OCR: scanned pages and image files.

RapidOCR carries its models in its package, so nothing is downloaded and no program is needed. It reads Latin letters,
Chinese and Japanese; where it is not installed, or finds nothing that it is sure of, tesseract reads if it is there.
"""

import csv
import importlib
import importlib.util
import io
import resource
import shutil
import sys
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from moat.errors import ParseFailed
from moat.parse.blocks import unreadable
from moat.parse.job import Job, Parsed
from moat.parse.pdf_blocks import blocks_of_pages, largest_text
from moat.parse.pdf_headings import mark_headings
from moat.parse.pdf_layout import Page, lines_of
from moat.parse.pdf_segments import Segment

DPI = 150
DETECTED = 1280  # pixels of the longer side in which lines are looked for; they are read in full size
MOST_PIXELS = 2400 * 3400  # of a picture as it is read; a larger one is made smaller
MOST_CLAIMED = 200_000_000  # pixels that a picture may unpack to
MOST_FRAMES = 1_000
SURE = 0.5  # confidence below which a line is declared rather than loaded
SHARE_OF_TIME = 0.7  # of what a document may take
NEEDED_MB = 700  # at the peak of a page of MOST_PIXELS
UNLIMITED_S = 600.0  # where nothing limits the process
LETTERS = 0.72  # size of letters as a share of the height of their line's box


@dataclass(frozen=True, slots=True)
class Unread:
    """A page of which something could not be read, and why."""

    page: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A line that was read, with its box in pixels from the top left, and how sure the reader is, of 1."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    confidence: float


class Reader:
    """Reads pictures of one document until its share of the time is used up; what it does not read, it declares."""

    def __init__(self) -> None:
        self.unread = list[Unread]()
        self.confidences = list[float]()
        self._ends = time.monotonic() + SHARE_OF_TIME * _seconds()
        self._longest = 0.0

    def page(self, page: Any, number: int) -> list[Segment]:
        """Lines of a page of pdfium's that has pictures and no text; none where it is blank."""
        import pypdfium2.raw as raw

        n_drawn = raw.FPDFPage_CountObjects(page)
        if not n_drawn or not _enough(number, self):
            return []
        width, height = page.get_size()
        scale = min(DPI / 72, (MOST_PIXELS / max(1.0, width * height)) ** 0.5)
        try:
            picture = page.render(scale=scale).to_pil().convert("RGB")
        except (MemoryError, ValueError, RuntimeError) as error:
            self.unread.append(Unread(number, f"it has no text and cannot be drawn for OCR: {error}"))
            return []
        return self._segments(picture, number, 1 / scale)

    def picture(self, picture: Any, number: int) -> Page:
        """Lines of a picture as a page."""
        made = Page(number=number, width=float(picture.width), height=float(picture.height))
        if _enough(number, self):
            made.lines = lines_of(self._segments(picture, number, 1.0), number)
        return made

    def late(self) -> bool:
        """Whether the time would not suffice for one more picture."""
        return time.monotonic() + self._longest > self._ends

    def _segments(self, picture: Any, number: int, points: float) -> list[Segment]:
        """Lines as segments, with y upwards; `points` is the length of a pixel."""
        start = time.monotonic()
        try:
            lines = read(picture)
        except MemoryError:
            self.unread.append(Unread(number, "there is no memory left to read it by OCR (MOAT_PARSE_MEMORY_MB)"))
            return []
        self._longest = max(self._longest, time.monotonic() - start)
        self.confidences += [line.confidence for line in lines]
        unsure = [line.text for line in lines if line.confidence < SURE]
        if unsure:
            self.unread.append(Unread(number, f"OCR is not sure of: {' / '.join(unsure)}"))
        sure = [line for line in lines if line.confidence >= SURE]
        return [
            Segment(
                text=" ".join(line.text.split()),
                x0=line.left * points,
                y0=(picture.height - line.bottom) * points,
                x1=line.right * points,
                y1=(picture.height - line.top) * points,
                base=(picture.height - line.bottom + 0.2 * (line.bottom - line.top)) * points,
                size=LETTERS * (line.bottom - line.top) * points,
            )
            for line in sure
            if line.text.strip()
        ]


def _enough(number: int, reader: Reader) -> bool:
    """Whether there is a way to read and time left; otherwise the page is declared."""
    if not (has_rapidocr() or shutil.which("tesseract")):
        reader.unread.append(
            Unread(number, "it has no text, and no OCR is installed here: install rapidocr and replay")
        )
        return False
    if _memory_left_mb() < NEEDED_MB:  # onnxruntime ends the process where it gets none
        reader.unread.append(
            Unread(
                number, f"it has no text, and OCR needs {NEEDED_MB} MB of memory: raise MOAT_PARSE_MEMORY_MB and replay"
            )
        )
        return False
    if reader.late():
        reader.unread.append(
            Unread(number, "it has no text, and the time for OCR is over: raise MOAT_PARSE_TIMEOUT_S and replay")
        )
        return False
    return True


def parse_image(content: bytes, job: Job) -> Parsed:
    """Parse a picture into blocks by OCR, each frame of a TIFF as a page.

    Raises ParseFailed if it is no picture, is too large, or nothing can read it.
    """
    from PIL import Image, ImageOps, ImageSequence

    if not (has_rapidocr() or shutil.which("tesseract")):
        raise ParseFailed("it is an image, and no OCR is installed here: install rapidocr or tesseract-ocr and replay")
    Image.MAX_IMAGE_PIXELS = MOST_CLAIMED
    reader, pages = Reader(), list[Page]()
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > MOST_CLAIMED:
                raise ParseFailed(f"it is an image of {image.width:,} × {image.height:,} pixels, which is too large")
            paged = image.format == "TIFF"
            for number, frame in enumerate(ImageSequence.Iterator(image), 1):
                if number > (MOST_FRAMES if paged else 1):
                    break
                upright = ImageOps.exif_transpose(frame) or frame
                pages.append(reader.picture(_opaque(upright), number))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if not pages:
            raise ParseFailed(f"it is an image that cannot be read: {error}") from error
        reader.unread.append(Unread(len(pages) + 1, f"it is damaged: {error}"))
    mark_headings(pages, [])
    blocks = blocks_of_pages(pages)
    lost = [unreadable(f"page {one.page}: {one.why}", one.page) for one in reader.unread]
    return Parsed([*blocks, *lost], largest_text(pages))


def _opaque(picture: Any) -> Any:
    """Lay a picture on white, and make it as large as OCR needs, not larger."""
    from PIL import Image

    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        ground.alpha_composite(picture)
        picture = ground
    if (scale := (MOST_PIXELS / max(1, picture.width * picture.height)) ** 0.5) < 1:
        picture = picture.convert("RGB").resize(
            (max(1, int(picture.width * scale)), max(1, int(picture.height * scale)))
        )
    return picture.convert("RGB")


def read(picture: Any) -> list[Read]:
    """Read the lines of a picture in RGB."""
    found = _by_rapidocr(picture) if has_rapidocr() else []
    if not any(line.confidence >= SURE for line in found) and shutil.which("tesseract"):
        return _by_tesseract(picture) or found
    return found


@cache
def has_rapidocr() -> bool:
    """Whether RapidOCR is installed."""
    return bool(importlib.util.find_spec("rapidocr"))


@cache
def _engine() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.text_score": 0.0,  # what it is not sure of is declared, not dropped
            "Global.use_cls": False,
            "Det.limit_type": "max",
            "Det.limit_side_len": DETECTED,
            # One thread: waiting threads of onnxruntime burn the time of others.
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "EngineConfig.onnxruntime.enable_cpu_mem_arena": False,
        }
    )


def _by_rapidocr(picture: Any) -> list[Read]:
    import numpy as np
    from rapidocr.inference_engine.onnxruntime.main import ONNXRuntimeError

    try:
        result = _engine()(np.asarray(picture)[:, :, ::-1], use_cls=False)
    except (ONNXRuntimeError, MemoryError) as error:
        raise MemoryError(str(error)) from error
    if result.boxes is None or result.txts is None:
        return []
    return [
        Read(
            text=text,
            left=float(min(p[0] for p in box)),
            top=float(min(p[1] for p in box)),
            right=float(max(p[0] for p in box)),
            bottom=float(max(p[1] for p in box)),
            confidence=float(score),
        )
        for box, text, score in zip(result.boxes, result.txts, result.scores, strict=True)
    ]


def _by_tesseract(picture: Any) -> list[Read]:
    tesseract = importlib.import_module("unstructured_pytesseract")

    try:
        table = tesseract.image_to_data(picture)
    except (tesseract.TesseractError, RuntimeError, OSError):
        return []
    words: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE):
        if (row.get("text") or "").strip() and float(row["conf"]) >= 0:
            words.setdefault((row["block_num"], row["par_num"], row["line_num"]), []).append(row)
    return [
        Read(
            text=" ".join(word["text"] for word in line),
            left=min(float(w["left"]) for w in line),
            top=min(float(w["top"]) for w in line),
            right=max(float(w["left"]) + float(w["width"]) for w in line),
            bottom=max(float(w["top"]) + float(w["height"]) for w in line),
            confidence=sum(float(w["conf"]) for w in line) / len(line) / 100,
        )
        for line in words.values()
    ]


def _memory_left_mb() -> float:
    """Megabytes that this process may still take; infinite where nothing limits it."""
    limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    if limit == resource.RLIM_INFINITY or sys.platform != "linux":
        return float("inf")
    with open("/proc/self/statm") as statm:
        return (limit - int(statm.read().split()[5]) * resource.getpagesize()) / (1 << 20)


def _seconds() -> float:
    """Seconds that this document may take: the child allows a process four times as much CPU time."""
    limit = resource.getrlimit(resource.RLIMIT_CPU)[0]
    if limit == resource.RLIM_INFINITY:
        return UNLIMITED_S
    used = resource.getrusage(resource.RUSAGE_SELF)
    return max(1.0, (limit - used.ru_utime - used.ru_stime) / 4)
