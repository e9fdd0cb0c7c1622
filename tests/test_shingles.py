"""Runs of words find a text again wherever it was cut."""

from moat.shingles import RUN, STRETCH, Shingles, lowest, mark

WORDS = [f"word{n}" for n in range(60)]


def test_the_mark_of_a_piece_is_a_run_of_the_whole() -> None:
    whole = Shingles.of(" ".join(WORDS))
    assert len(whole.runs) == len(WORDS) - RUN + 1
    assert mark(" ".join(WORDS[20:45])) in whole.runs
    assert mark("Word3, word4: WORD5 (word6) word7!") in whole.runs, "marks and case make no difference"
    assert mark(" ".join(WORDS)) == lowest(whole.runs, 3)[0]
    assert all(0 <= run < 2**63 for run in whole.runs)


def test_a_text_of_few_words_has_no_mark() -> None:
    assert mark("one two three four") is None
    assert mark("") is None


def test_a_script_without_spaces_has_runs_of_characters() -> None:
    text = "码头上的起重机今天早上停止工作"
    assert len(Shingles.of(text).runs) == len(text) - RUN + 1
    assert mark(text[4:12]) in Shingles.of(text).runs


def test_only_stretches_count_and_a_short_text_as_a_whole() -> None:
    whole = Shingles.of(" ".join(WORDS))
    assert whole.n_within(set(whole.runs)) == whole.n_characters == sum(map(len, WORDS))
    assert whole.n_within(set(Shingles.of(" ".join(WORDS[: STRETCH - 1])).runs)) == 0
    assert whole.n_within(set(Shingles.of(" ".join(WORDS[:STRETCH])).runs)) == 10 * 5 + 2 * 6
    assert whole.n_within(set(Shingles.of(" ".join(WORDS[:STRETCH] + WORDS[40:])).runs)) == 10 * 5 + 22 * 6
    short = Shingles.of("one two three four five six")
    assert short.n_within(set(short.runs)) == short.n_characters
    assert short.n_within(set()) == Shingles.of("").n_within({1}) == 0
