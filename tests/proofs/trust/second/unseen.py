"""Kinds that nothing tells, or only by the number of documents that changed, and why."""

UNSEEN: dict[str, str] = {
    "foot_of_another_company": "people add one line to all documents, and nothing says which names are right: it is told in all, not in a few",
    "dose_halved": "a few rows: one value in the place of one other is what a new recipe looks like",
    "separator_changed": "a few rows: their access is unknown, so nobody sees more and some see less",
    "old_beside_new": "the newer one has no year in its name, so nothing says which is newer",
}
