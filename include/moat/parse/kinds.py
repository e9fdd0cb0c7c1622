"""Detect the kind of a document: by content first, by name second."""

import io
import posixpath
import zipfile

from moat.errors import ParseFailed
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
}
TEXT = {"html", "md", "txt", "csv", "tsv", "eml", "rst", "org", "xml", "json", "jsonl"}
IMAGES = (
    (b"\x89PNG\r\n\x1a\n", 0),
    (b"\xff\xd8\xff", 0),
    (b"II*\0", 0),
    (b"MM\0*", 0),
    (b"BM", 0),
    (b"GIF8", 0),
    (b"WEBP", 8),
    (b"ftypheic", 4),
)
REFUSED = (
    (b"\x1f\x8b", 0, "a gzip archive"),
    (b"\x1f\x9d", 0, "a compress archive"),
    (b"BZh", 0, "a bzip2 archive"),
    (b"\xfd7zXZ\0", 0, "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7z archive"),
    (b"Rar!", 0, "a rar archive"),
    (b"]\0\0", 0, "an lzma archive"),
    (b"ustar", 257, "a tar archive"),
    (b"\x7fELF", 0, "a program"),
    (b"MZ", 0, "a program"),
)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
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
    for magic, at, what in REFUSED:
        if content[at : at + len(magic)] == magic:
            raise ParseFailed(f"it is {what}; Moat reads documents, so unpack it at its source")
    if b"%PDF-" in content[:1024]:
        return "pdf"
    if content.startswith(b"PK"):
        return _zipped(content)
    if content.startswith(OLE):
        return _ole(content)
    if content.lstrip()[:5] == b"{\\rtf":
        return "rtf"
    if any(content[at : at + len(magic)] == magic for magic, at in IMAGES):
        return "image"
    return _text(decode(content), name)


def _suffix(name: str) -> str:
    suffix = posixpath.splitext(name)[1].lstrip(".").lower()
    return NAMES.get(suffix, suffix)


def _text(text: str, name: str) -> str:
    """Kind of a text: proved by its beginning, otherwise by its name, otherwise plain."""
    suffix, head = _suffix(name), text[:4096].lstrip("\ufeff \t\r\n")
    lower = head[:1024].lower()
    if lower.startswith(("<!doctype html", "<html")) or (lower.startswith("<?xml") and "<html" in lower):
        return "html"
    if lower.startswith("<?xml"):
        return "xml"
    if suffix not in TEXT and _is_mail(head):
        return "eml"
    if suffix == "rtf" and head.startswith("{\\"):
        return "rtf"
    if suffix in TEXT:
        return suffix
    if suffix in MIME:
        raise ParseFailed(f"its name says {suffix}, its content is plain text: it is damaged or misnamed")
    return "html" if lower.startswith(("<head", "<body", "<div", "<p>", "<table")) else "txt"


def _is_mail(head: str) -> bool:
    names = set()
    for line in head.splitlines():
        name, colon, _ = line.partition(":")
        if not line.strip():
            break
        if colon and name.lower() in MAIL_HEADERS:
            names.add(name.lower())
        elif not line[0].isspace() and not colon:
            break
    return len(names) >= 2


def _zipped(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = set(archive.namelist())
            mimetype = archive.read("mimetype")[:100].decode("ascii", "replace").strip() if "mimetype" in names else ""
            if "META-INF/manifest.xml" in names and b"encryption-data" in archive.read("META-INF/manifest.xml"):
                raise ParseFailed("it is protected by a password")
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError, NotImplementedError) as error:
        raise ParseFailed(f"its zip container is damaged: {error}") from error
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
        raise ParseFailed(f"its OLE container is damaged: {error}") from error
    if "EncryptedPackage" in names:
        raise ParseFailed("it is protected by a password")
    for stream, kind in (("WordDocument", "doc"), ("PowerPoint Document", "ppt"), ("Workbook", "xls"), ("Book", "xls")):
        if stream in names:
            return kind
    if any(name.startswith("__substg1.0_") for name in names):
        return "msg"
    raise ParseFailed("it is an OLE container of an unknown kind")
