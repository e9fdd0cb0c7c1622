"""Seeded bugs of the readers of files and objects, of access files, and of access sync.

Name, file, what stands there, what is put there instead, the test that must turn red.
"""

HOSTILE, FETCH = "tests/readers/test_hostile_folder.py::test_", "tests/readers/test_judged_at_fetch.py::test_"
FILES, SYNC = "tests/access/test_access_files.py::test_", "tests/maintenance/test_access_sync.py::test_"
REVERT, SWAPS = "tests/maintenance/test_revert.py::test_", "tests/maintenance/test_swaps.py::test_"
OF_FILES = (
    (
        "a link is followed when a file is opened",
        "include/moat/readers/opened.py",
        "FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY",
        "FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY",
        f"{HOSTILE}a_file_that_is_swapped_for_a_link_in_the_last_moment_is_not_followed",
    ),
    (
        "a folder is opened by way of a link",
        "include/moat/readers/opened.py",
        "FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC",
        "FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC",
        f"{HOSTILE}a_folder_that_becomes_a_link_after_the_listing_is_not_entered",
    ),
    (
        "a link inside needs the access of its own place only",
        "include/moat/readers/local_files.py",
        "    if place == key or own.policy is None:\n",
        "    if True:\n",
        f"{HOSTILE}a_link_inside_is_for_those_who_may_read_in_both_places",
    ),
    (
        "a nearly right name of an access file is passed over",
        "include/moat/readers/local_files.py",
        "            if near := self._nearly(folder, name):\n",
        "            if (near := self._nearly(folder, name)) and False:\n",
        f"{HOSTILE}a_name_that_is_nearly_right_makes_its_folder_unknown_and_is_told",
    ),
    (
        "a file comes with the access that was listed",
        "include/moat/readers/reader.py",
        "        if now.policy is None:\n            return unknown(wanted, now.reason, fingerprint)\n        made = raw(replace(wanted, policy=now.policy)",
        "        made = raw(wanted",
        f"{FETCH}a_file_comes_with_the_access_of_its_fetch",
    ),
    (
        "an object that was replaced meanwhile is kept with the new tags",
        "include/moat/readers/s3_objects.py",
        "        return as_listed or self._etag(one) == read.etag\n",
        "        return True\n",
        f"{FETCH}an_object_that_is_replaced_before_its_tags_are_read_is_read_again",
    ),
    (
        "patterns of access files compare bytes",
        "include/moat/access/access_files.py",
        "re.compile(fnmatch.translate(folded(glob)))",
        "re.compile(fnmatch.translate(glob))",
        f"{FILES}a_pattern_decides_alike_for_every_way_to_write_a_name",
    ),
    (
        "the folders of a key are those of a path",
        "include/moat/access/access_files.py",
        '        end = path.find("/", end + 1)\n',
        '        end = path.find("/", end + 2)\n',
        f"{FILES}the_folders_of_a_key_are_its_parts_as_they_are",
    ),
    (
        "only errors of Moat's own are recorded",
        "include/moat/maintenance/access_sync.py",
        "        if error is None or isinstance(error, KeyboardInterrupt):\n",
        "        if not isinstance(error, MoatError):\n",
        f"{SYNC}whatever_ends_a_listing_is_recorded_so_that_the_source_is_masked_in_time",
    ),
    (
        "a source that is silent is waited for",
        "include/moat/maintenance/in_time.py",
        "        if time.monotonic() - heard >= quiet_s:\n",
        "        if time.monotonic() - heard >= quiet_s + 3_600:\n",
        f"{SYNC}a_source_that_says_nothing_is_left_and_the_next_one_read",
    ),
    (
        "a pass opens again what was taken back of it",
        "include/moat/checks/widening.py",
        "    if one.kept_back and audience.admits_more(one.was, one.now):\n",
        "    if False:\n",
        f"{REVERT}what_a_pass_let_in_is_gone_at_once_and_waits_for_a_person",
    ),
    (
        "a load opens again what was taken back",
        "include/moat/ledger/access.py",
        " and not row.kept_back and row.seen <= base",
        " and row.seen <= base",
        f"{REVERT}a_load_lets_in_nothing_that_was_taken_back",
    ),
    (
        "a revert takes back what changed again since",
        "include/moat/ledger/passes.py",
        'return "open" if (row.policy, row.access_version) == (row.now, row.version) else "changed"',
        'return "open"',
        f"{REVERT}what_changed_again_since_is_left_alone_and_named",
    ),
    (
        "a swap is not asked what it opens",
        "include/moat/checks/swapped.py",
        "there[key][1].allows(after[q.asker]) and not",
        "False and not",
        f"{SWAPS}somebody_who_comes_into_a_group_finds_nothing_that_a_question_keeps_from_them",
    ),
)
