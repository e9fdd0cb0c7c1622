"""Detect the kind of a document: by content first, by name second."""

import io
import posixpath
import re
import zipfile

from moat.errors import ParseDamaged, ParseFailed, ParseLocked
from moat.parse.encoding import decode

MIME = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "doc": "application/msword",
    "ppt": "application/vnd.ms-powerpoint",
    "xls": "application/vnd.ms-excel",
    "msg": "application/vnd.ms-outlook",
    "odt": "application/vnd.oasis.opendocument.text",
    "epub": "application/epub+zip",
    "rtf": "application/rtf",
    "html": "text/html",
    "md": "text/markdown",
    "txt": "text/plain",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "eml": "message/rfc822",
    "rst": "text/x-rst",
    "org": "text/org",
    "xml": "application/xml",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "mhtml": "multipart/related",
    "ipynb": "application/x-ipynb+json",
    "opml": "text/x-opml",
    "image": "image/*",
}
NAMES = {
    "htm": "html",
    "xhtml": "html",
    "markdown": "md",
    "text": "txt",
    "log": "txt",
    "tab": "tsv",
    "ndjson": "jsonl",
    "mail": "eml",
    "mbox": "eml",
    "mht": "mhtml",
    "xht": "html",
}
TEXT = {"html", "md", "txt", "csv", "tsv", "eml", "rst", "org", "xml", "json", "jsonl", "mhtml", "ipynb", "opml"}
HEAD = 4096  # bytes in which data that is no text shows it
CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
IMAGES = (
    (b"\x89PNG\r\n\x1a\n", 0),
    (b"\xff\xd8\xff", 0),
    (b"II*\0", 0),
    (b"MM\0*", 0),
    (b"GIF87a", 0),
    (b"GIF89a", 0),
    (b"WEBP", 8),
    (b"ftypheic", 4),
)
REFUSED = (
    (b"\x1f\x8b", 0, "a gzip archive"),
    (b"\x1f\x9d", 0, "a compress archive"),
    (b"1AY&SY", 4, "a bzip2 archive"),
    (b"\xfd7zXZ\0", 0, "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7z archive"),
    (b"Rar!\x1a\x07", 0, "a rar archive"),
    (b"]\0\0", 0, "an lzma archive"),
    (b"ustar\0", 257, "a tar archive"),
    (b"ustar  \0", 257, "a tar archive"),
    (b"\x7fELF", 0, "a program"),
)
ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
PDF = re.compile(rb"(?:^|[\r\n])[ \t\xef\xbb\xbf]*%PDF-\d|%PDF-\d\.\d[\r\n]")
PDF_PARTS = re.compile(rb"\d\s+obj\b|\bstartxref\b|\bxref\s")
RTF = re.compile(rb"\s*\{\\rtf\d?(?=[\\\s{}])")
BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}  # sizes of the header of a picture's kind
HTML = re.compile(r"<!doctype html[\s>]|<html(?:\s[^>]*)?>")
PAGE = re.compile(
    r"<(?:head|body|title|meta|p|div|h1|table|link|script|frameset)[\s>]"
)  # of a page, not of a text about one
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
SENT = {"received", "message-id", "mime-version", "return-path"}  # which only a mail that was sent has
MAIL_HEADERS = {
    "from",
    "to",
    "subject",
    "date",
    "received",
    "message-id",
    "mime-version",
    "return-path",
    "content-type",
    "cc",
    "reply-to",
}


def kind_of(content: bytes, name: str) -> str:
    """Return a key of MIME. Raises ParseFailed for archives, programs and unknown data."""
    if not content:
        raise ParseFailed("it has 0 bytes")
    suffix = _suffix(name)
    if _is_binary(content, suffix):
        for magic, at, what in REFUSED:
            if content[at : at + len(magic)] == magic:
                raise ParseFailed(f"it is {what}; Moat reads documents, so unpack it at its source")
        if _is_program(content, suffix):
            raise ParseFailed("it is a program; Moat reads documents, so leave it out at its source")
    if _is_pdf(content, suffix):
        return "pdf"
    if content.startswith(ZIP):
        return _zipped(content)
    if content.startswith(OLE):
        return _ole(content)
    if RTF.match(content[:100]) and (suffix == "rtf" or b"\\" in content[5:HEAD] or content.rstrip()[-1:] == b"}"):
        return "rtf"
    if _is_binary(content, suffix) and _is_image(content):
        return "image"
    if suffix == "eml":
        return "eml"  # its parts have encodings of their own
    return _text(decode(content, markup=True), suffix)


def _is_binary(content: bytes, suffix: str) -> bool:
    """Whether bytes are no text of an encoding of bytes: they have control characters at their beginning."""
    return bool(CONTROL.search(content[:HEAD])) or content.startswith((b"\x7fELF", b"7z\xbc\xaf")) or suffix == "exe"


def _is_program(content: bytes, suffix: str) -> bool:
    """Whether bytes are a program of Windows or DOS: their header leads to a second one, or their name says so."""
    if not content.startswith(b"MZ"):
        return False
    at = int.from_bytes(content[60:64], "little")
    return suffix in ("exe", "dll", "com", "sys") or content[at : at + 2] in (b"PE", b"NE", b"LE", b"LX")


def _is_pdf(content: bytes, suffix: str) -> bool:
    """Whether bytes are a PDF rather than a text about one: the mark begins a line, and objects follow.

    A text that tells of them is one by its name, as long as something stands before the mark.
    """
    found = PDF.search(content[:1024])
    if not found:
        return False
    if suffix == "pdf" or CONTROL.search(content[:HEAD]):
        return True
    if content[: found.start()].strip(b"\xef\xbb\xbf \t\r\n") and suffix in TEXT:
        return False
    return bool(PDF_PARTS.search(content[found.end() :]))


def _is_image(content: bytes) -> bool:
    if content.startswith(b"BM"):
        return content[6:10] == b"\0\0\0\0" and int.from_bytes(content[14:18], "little") in BMP_HEADERS
    return any(content[at : at + len(magic)] == magic for magic, at in IMAGES)


def _suffix(name: str) -> str:
    suffix = posixpath.splitext(name)[1].lstrip(".").lower()
    return NAMES.get(suffix, suffix)


def _text(text: str, suffix: str) -> str:
    """Kind of a text: proved by its beginning, otherwise by its name, otherwise plain."""
    head = text[:4096].lstrip("\ufeff \t\r\n")
    lower = head[:1024].lower()
    page = HTML.match(lower) and (suffix not in TEXT or suffix == "html" or PAGE.search(lower))
    if page or (lower.startswith("<?xml ") and "<html" in lower):
        return "html"
    if lower.startswith("<opml") or (lower.startswith("<?xml ") and "<opml" in lower):
        return "opml"
    if lower.startswith("<?xml ") and suffix != "opml":
        return "xml"
    if _is_saved_page(head, suffix):
        return "mhtml"
    if suffix not in TEXT and _is_mail(head, suffix):
        return "eml"
    if suffix == "rtf" and head.startswith("{\\"):
        return "rtf"
    if suffix in TEXT:
        return suffix
    if suffix in MIME:
        raise ParseFailed(f"its name says {suffix}, its content is plain text: it is damaged or misnamed")
    return "html" if lower.startswith(("<head", "<body", "<div", "<p>", "<table")) else "txt"


def _headers(head: str) -> dict[str, str]:
    """Headers of a mail that a text begins with; none if it begins otherwise."""
    found = dict[str, str]()
    for line in head.splitlines():
        name, colon, value = line.partition(":")
        if not line.strip():
            break
        if colon and re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name):
            found.setdefault(name.lower(), value.strip())
        elif not line[0].isspace():
            break
    return found


def _is_saved_page(head: str, suffix: str) -> bool:
    """Whether a text is a web page with its parts, as a browser saves it."""
    if suffix not in ("eml", "", "mhtml", "html", "txt"):
        return False
    headers = _headers(head)
    if "mime-version" not in headers and "content-type" not in headers:
        return False
    return "snapshot-content-location" in headers or "saved by" in headers.get("from", "").lower()


def _is_mail(head: str, suffix: str) -> bool:
    """Whether a text is a mail, though its name does not say so."""
    headers = _headers(head)
    if len(MAIL_HEADERS & set(headers)) < 2:
        return False
    # Settings have such names too, so a file with a name of its own needs what only a mail has.
    return bool(SENT & set(headers)) or (not suffix.isalpha() and "@" in headers.get("from", ""))


def _zipped(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = set(archive.namelist())
            mimetype = archive.read("mimetype")[:100].decode("ascii", "replace").strip() if "mimetype" in names else ""
            if "META-INF/manifest.xml" in names and b"encryption-data" in archive.read("META-INF/manifest.xml"):
                raise ParseLocked("it is protected by a password")
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError, NotImplementedError) as error:
        raise ParseDamaged(f"its zip container is damaged: {error}") from error
    if mimetype == MIME["epub"]:
        return "epub"
    if mimetype.startswith(MIME["odt"]):
        return "odt"
    if "[Content_Types].xml" in names:
        for folder, kind in (("word/", "docx"), ("ppt/", "pptx"), ("xl/", "xlsx")):
            if any(name.startswith(folder) for name in names):
                return kind
    raise ParseFailed("it is a zip archive; Moat reads documents, so unpack it at its source")


def _ole(content: bytes) -> str:
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(content)) as ole:
            names = {entry[0] for entry in ole.listdir()}
    except (OSError, ValueError, IndexError, TypeError) as error:
        raise ParseDamaged(f"its OLE container is damaged: {error}") from error
    if "EncryptedPackage" in names:
        raise ParseLocked("it is protected by a password")
    for stream, kind in (("WordDocument", "doc"), ("PowerPoint Document", "ppt"), ("Workbook", "xls"), ("Book", "xls")):
        if stream in names:
            return kind
    if any(name.startswith("__substg1.0_") for name in names):
        return "msg"
    raise ParseFailed("it is an OLE container of an unknown kind")
