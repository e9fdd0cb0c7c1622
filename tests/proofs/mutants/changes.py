"""Seeded bugs of the comparison of changed documents and of widened access: (name, file, old, new, test)."""

CHANGES, WIDENING = "tests/checks/test_changes.py::test_", "tests/checks/test_widening.py::test_"
CHANGE = "include/moat/checks/changes.py"
OF_CHANGES = (
    (
        "what changed is judged by chance no more",
        CHANGE,
        "    if kind.alone or chance <= SURE:",
        "    if kind.alone:",
        f"{CHANGES}what_happened_to_six_of_six_changed_documents_holds_the_load",
    ),
    (
        "each night is judged alone",
        CHANGE,
        "    elif over <= SURE:",
        "    elif over <= 0:",
        f"{CHANGES}what_is_done_to_each_nights_two_documents_is_seen_over_the_nights",
    ),
    (
        "one corrected number is a factor",
        CHANGE,
        "if len(keys) > 1 or len(set(self.texts[keys[0]].numbers)) > 1",
        "if keys",
        f"{CHANGES}a_number_that_was_corrected_is_no_factor",
    ),
    (
        "a line that is half translated reads as before",
        "include/moat/checks/changed_text.py",
        '    now = now if now not in ("", was) else of_fresh',
        "    now = now or of_fresh",
        f"{CHANGES}every_second_sentence_in_another_language_is_seen",
    ),
    (
        "numbers of the same digits are the same",
        "include/moat/checks/changed_columns.py",
        "(None in numbers or numbers[0] == numbers[1])",
        "True",
        f"{CHANGES}a_pattern_of_a_column_is_found_among_the_rows_that_changed",
    ),
    (
        "personal data are quoted",
        CHANGE,
        "        if key in self.personal:",
        "        if False:",
        f"{CHANGES}nothing_is_quoted_of_a_document_with_personal_data",
    ),
    (
        "a text that breaks off in a word is an edit",
        "include/moat/checks/changed_text.py",
        'return "broken off" if inside else "cut"',
        'return "cut"',
        f"{CHANGES}one_text_that_breaks_off_in_a_word_is_enough",
    ),
    (
        "a folder may stop without a word",
        "include/moat/checks/segments.py",
        "(1 - rhythm) ** silent > UNLIKELY",
        "(1 - rhythm) ** silent > -1",
        f"{CHANGES}a_folder_that_is_no_longer_exported_is_told_while_the_others_go_on",
    ),
    (
        "a small source may open all of its documents",
        "include/moat/checks/widening.py",
        "return min(limits.max_widened_documents, max(FEW, int(limits.max_widened_ratio * n_documents)))",
        "return limits.max_widened_documents",
        f"{WIDENING}every_mail_that_gets_one_more_reader_is_too_many_for_a_small_source",
    ),
    (
        "salaries may open to everybody at once",
        "include/moat/checks/widening.py",
        "    if everyone >= MANY_PEOPLE and after > everyone / 2 and after >= 2 * before:",
        "    if False:",
        f"{WIDENING}four_salary_documents_that_open_from_three_people_to_twenty_wait",
    ),
    (
        "everybody may be nested into a small group",
        "include/moat/directories/growth.py",
        "if people and group in has and len(has[group] - people) > max(FEW, most_ratio * len(people))",
        "if people and group in has and len(has[group] - people) > 1_000",
        "tests/directories/test_growth.py::test_everybody_nested_into_a_small_group_is_seen",
    ),
)
