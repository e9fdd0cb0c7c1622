"""Seeded bugs of text of few people in documents of many: (name, file, old, new, test)."""

CHECK, QUERIES = "include/moat/checks/restricted.py", "include/moat/ledger/same_text.py"
FOUND = "tests/checks/test_restricted.py::test_"
RESTRICTED = (
    (
        "a released copy is asked about every night",
        CHECK,
        "(arrival.text.runs & whole.runs) - open_runs - template",
        "(arrival.text.runs & whole.runs) - template",
        f"{FOUND}what_the_wider_circle_reads_already_is_not_told",
    ),
    (
        "a footer of all documents is a secret",
        CHECK,
        "(arrival.text.runs & whole.runs) - open_runs - template",
        "(arrival.text.runs & whole.runs) - open_runs",
        f"{FOUND}a_footer_that_many_documents_share_is_not_told_and_versions_of_one_text_are",
    ),
    (
        "thirty versions of a list are a template",
        CHECK,
        " and not self._near(i, identity)",
        "",
        f"{FOUND}a_footer_that_many_documents_share_is_not_told_and_versions_of_one_text_are",
    ),
    (
        "a paste of half is found only where half of both is the same",
        CHECK,
        "        return max(self.of_arrival, self.of_origin)",
        "        return min(self.of_arrival, self.of_origin)",
        f"{FOUND}much_of_a_restricted_text_in_a_document_of_many_is_found",
    ),
    (
        "a restricted text may become public",
        "include/moat/checks/widening.py",
        'return "" if was.public or audience.count(was) > audience.everyone / 2 > 0 else PUBLICLY',
        'return ""',
        f"{FOUND}what_counts_is_how_many_more_people_may_read_it",
    ),
    (
        "a masked document comes back with any text",
        "include/moat/maintenance/access_sync.py",
        'why |= {one.arrival.key: "has text of few" for one in spread}',
        "pass",
        f"{FOUND}access_sync_asks_about_a_masked_document_that_comes_back_with_text_of_few",
    ),
    (
        "a text is found while its load is not promoted",
        QUERIES,
        "        .where(there)\n",
        "",
        "tests/ledger/test_same_text.py::test_documents_are_found_by_mark_with_their_policy_and_number",
    ),
)
