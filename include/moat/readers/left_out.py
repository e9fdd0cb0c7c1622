"""Files that programs leave beside documents, and that no person wrote to be read."""

from moat.readers.reader import Reading, matcher

NAMED = 5  # left-out files that a line of progress names
# Patterns as in .gitignore, in which capitals are the same: Thumbs.db, DESKTOP.INI.
LEFT_OUT = (
    "~$*",  # Microsoft Office: who has a document open
    "~*.tmp",
    ".~lock.*",  # LibreOffice: the same
    "*~",  # editors: the version before
    ".ds_store",  # macOS
    "__macosx/",
    "desktop.ini",  # Windows
    "thumbs.db*",
    "ehthumbs*.db",
    "*:zone.identifier",
    "$recycle.bin/",
    "system volume information/",
    "lost+found/",  # Linux
    "@eadir/",  # Synology
    "\\#recycle/",
    "*.crdownload",  # browsers: half a download
    "_SUCCESS",  # Hadoop, Spark, Databricks: marks of a job, and of folders
    "_committed_*",
    "_started_*",
    "_temporary/",
    "*_$folder$",
)


class LeaveOut:
    """Decides which keys of one listing are left out, counts them, and says so at its end.

    Args:
        patterns: Patterns as in .gitignore.
        reading: Where progress goes.
    """

    def __init__(self, patterns: tuple[str, ...], reading: Reading) -> None:
        self._matches, self._reading = matcher(patterns), reading
        self._n, self._named = 0, list[str]()

    def __call__(self, key: str) -> bool:
        """Whether a file, or a folder with `/` at its end, is left out; it is counted then."""
        found = self._matches(key)
        if found:
            self.count(key)
        return found

    def holds(self, key: str) -> bool:
        """Whether a file or a folder above it is left out; nothing is counted."""
        parts = key.split("/")
        folders = ("/".join(parts[:n]) + "/" for n in range(1, len(parts)))
        return any(map(self._matches, (*folders, key)))

    def count(self, key: str) -> None:
        """Count a key that is left out for another reason."""
        self._n += 1
        if len(self._named) < NAMED:
            self._named.append(key)

    def tell(self) -> None:
        """Say in a line of progress how many were left out, and name the first."""
        if self._n:
            more = ", …" if self._n > len(self._named) else ""
            self._reading.progress(
                f"{self._reading.source}: {self._n:,} left out, which programs leave beside documents: "
                f"{', '.join(map(repr, self._named))}{more}; the reader's leave_out decides"
            )
