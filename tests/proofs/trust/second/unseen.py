"""Kinds that nothing tells, or only by the number of documents that changed, and why."""

UNSEEN: dict[str, str] = {
    "separator_changed": "a few rows: their access is unknown, so nobody sees more and some see less",
    "readers_null": "a few rows: their access is unknown, so they are masked and nobody sees them",
    "old_beside_new": "the newer one has no year in its name, so nothing says which is newer",
    "soft_hyphens": "they are taken out before anything is compared, so no text is another and no search is harmed",
    "vanished": "a few documents go every day",
    "part_frozen": "two folders that do not move every night: ten nights were within what their rhythm explains",
    "rows_gone": "a few rows go every day",
}
