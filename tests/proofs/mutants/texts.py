"""Seeded bugs of what is looked for in texts, and of versions that stand side by side: (name, file, old, new, test)."""

FINDERS = "tests/risks/test_finders.py::test_"
VERSIONS = "tests/checks/test_versions.py::test_"

TEXTS = (
    (
        "a password is found only right after its word",
        "include/moat/risks/passwords.py",
        "        for link in LINK.finditer(text, end, until):\n",
        "        for link in ():\n",
        f"{FINDERS}a_credential_that_words_tell_is_found_whole",
    ),
    (
        "columns of passwords are passed over",
        "include/moat/risks/passwords.py",
        "        yield from _columns(text)\n",
        "        pass\n",
        f"{FINDERS}a_credential_that_words_tell_is_found_whole",
    ),
    (
        "a placeholder is taken for a password",
        "include/moat/risks/passwords.py",
        "    return bool(PLACEHOLDER.search(value) or NAMES_ONE",
        "    return bool(NAMES_ONE",
        f"{FINDERS}ordinary_business_text_has_none",
    ),
    (
        "version 10 is older than version 2",
        "include/moat/checks/versions.py",
        "tuple(tuple(map(int, (found",
        "tuple(tuple(map(str, (found",
        f"{VERSIONS}years_and_versions_are_compared_as_numbers",
    ),
    (
        "numbers are quoted beside personal data",
        "include/moat/checks/versions.py",
        "pair.newer.told or _is_told(older) or _is_told(newer)",
        "pair.newer.told or _is_told(newer)",
        f"{VERSIONS}no_number_is_quoted_beside_personal_data_of_either",
    ),
    (
        "a version that the load removes is told",
        "include/moat/checks/versions.py",
        'if p.what == "vanished")))',
        'if p.what == "gone")))',
        f"{VERSIONS}one_that_the_load_removes_or_that_nobody_reads_beside_the_other_is_not_told",
    ),
)
