"""Seeded bugs of older versions in searches, of reverted swaps, of who was answered: (name, file, old, new, test)."""

VERSIONS, SEARCHES = "include/moat/ledger/older_versions.py", "tests/search/test_older_versions.py::test_"
SWAPS = "tests/maintenance/test_revert_swap.py::test_"
READS = (
    (
        "a newer version is told to those who may not read it",
        VERSIONS,
        "document.c.policy.in_(mine), document.c.erased_at.is_(None))",
        "document.c.erased_at.is_(None))",
        f"{SEARCHES}an_older_version_is_told_or_left_out_for_those_who_may_read_the_newer",
    ),
    (
        "a pair of versions holds whatever becomes of the newer one",
        VERSIONS,
        "now.c.content_hash == older_version.c.newer_hash)",
        "older_version.c.newer_hash.is_not(None))",
        f"{SEARCHES}a_pair_holds_while_both_are_as_they_were_when_it_was_found",
    ),
    (
        "one without a year is newer than one whose year is not over",
        "include/moat/checks/versions.py",
        "all(FIRST_YEAR <= mark[0] < this_year for mark in marks)",
        "all(FIRST_YEAR <= mark[0] for mark in marks)",
        "tests/checks/test_versions.py::test_a_newer_one_without_a_year_in_its_name_is_told_where_that_is_safe",
    ),
    (
        "a revert of a swap ends what keeps somebody out",
        "include/moat/ledger/member_passes.py",
        "    if not kept_from:\n",
        "    if True:\n",
        f"{SWAPS}a_membership_that_keeps_somebody_out_stays_and_others_go",
    ),
    (
        "what a revert of a swap took away comes again by itself",
        "include/moat/directories/sync.py",
        "reasons = [*shrinking, *_growing(directory, grown), *_taken_back(back)]",
        "reasons = [*shrinking, *_growing(directory, grown)]",
        f"{SWAPS}who_came_by_a_swap_is_out_at_once_and_waits_for_a_person",
    ),
    (
        "whoever could read it before is told as one who read it since",
        "include/moat/ledger/answers.py",
        'among is None or one.asker in among or not one.asker.startswith("user:")',
        "True",
        "tests/search/test_answers.py::test_who_was_answered_since_a_pass_is_told_where_answers_are_kept",
    ),
    (
        "an answer is given that is not recorded",
        "include/moat/retrieve.py",
        "        if self._records:\n",
        "        if False:\n",
        "tests/search/test_answers.py::test_it_is_forgotten_in_time_and_an_answer_that_cannot_be_recorded_is_not_given",
    ),
    (
        "a filter is the index's alone",
        "include/moat/search/finding.py",
        "[chunk_id for chunk_id, _ in scored], filters)",
        "[chunk_id for chunk_id, _ in scored])",
        "tests/search/test_asking.py::test_a_tampered_index_does_not_get_around_a_filter",
    ),
    (
        "a cursor is good for every asker",
        "include/moat/retrieve.py",
        "of = (self._ledger.tenant, who.name, who.principals, question, mode, group_by)",
        "of = (self._ledger.tenant, question, mode, group_by)",
        "tests/search/test_asking.py::test_pages_are_of_one_view",
    ),
    (
        "a cursor may be changed",
        "include/moat/search/cursor.py",
        "known = len(cursor) <= LONGEST and hmac.compare_digest(signature, self._signature(body, bound))",
        "known = len(cursor) <= LONGEST",
        "tests/search/test_cursor.py::test_a_cursor_is_of_one_asker_and_one_question",
    ),
    (
        "a source that only others read is a name that is near",
        "include/moat/ledger/counting.py",
        'found[name] = next((one for one in near if _some(connection, tenant, principals, {"source": one})), "")',
        'found[name] = next(iter(near), "")',
        "tests/ledger/test_filters.py::test_names_are_those_of_what_an_asker_may_read",
    ),
    (
        "a key leads up and away",
        "include/moat/links.py",
        'if path and {".", ".."} & set(key.split("/")):',
        "if False:",
        "tests/search/test_cursor.py::test_a_key_is_percent_encoded_and_never_leads_elsewhere",
    ),
    (
        "a sidecar that changes is not seen",
        "include/moat/readers/reader.py",
        "        if not metadata:\n            return replace(made, modified=modified)\n",
        "        return replace(made, modified=modified, metadata=metadata)\n",
        "tests/test_metadata.py::test_a_sidecar_is_metadata_and_no_document_and_never_says_who_may_read",
    ),
)
