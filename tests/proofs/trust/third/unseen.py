"""Kinds that nothing tells in their largest size, and why; written after the first run."""

UNSEEN: dict[str, str] = {
    "answers_planted": "new documents with the words of others and other figures are forms that are filled in, too",
    "leavers_back": "one person more in each of six groups, none of whom Moat ever saw, may be six who are new",
    "stranger_in_group": "one person more in a small group may be its new member: who may grant has granted",
    "stranger_in_pay": "one person more in an access file: the honest change head_reads_pay is the very same",
    "board_empty": "nobody reads more, and each document has other readers left",
    "bin_restored": "a few documents that were deleted come back as new ones",
}
