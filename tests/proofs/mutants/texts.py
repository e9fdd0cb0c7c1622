"""Seeded bugs of what is looked for in texts: (name, file, old, new, test)."""

FINDERS = "tests/risks/test_finders.py::test_"

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
)
