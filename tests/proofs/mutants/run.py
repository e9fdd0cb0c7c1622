"""Break Moat on purpose, one seeded bug at a time, and see a test turn red for each.

    python tests/proofs/mutants/run.py             # all
    python tests/proofs/mutants/run.py deny hold   # those with one of these words in their name

Works in a copy of the project. First the tests that are named must pass there; then each bug must
fail one of its own. Ends with 1 when one survives. `tests/test_mutants_apply.py` keeps the list in step
with the code.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.proofs.mutants.changes import OF_CHANGES
from tests.proofs.mutants.files import OF_FILES
from tests.proofs.mutants.losses import LOSSES
from tests.proofs.mutants.machine import MACHINE
from tests.proofs.mutants.many import MANY
from tests.proofs.mutants.names import NAMES
from tests.proofs.mutants.people import PEOPLE
from tests.proofs.mutants.reads import READS
from tests.proofs.mutants.restricted import RESTRICTED
from tests.proofs.mutants.rules import OF_RULES
from tests.proofs.mutants.texts import TEXTS
from tests.proofs.mutants.walls import WALLS

PROJECT = Path(__file__).resolve().parents[3]
LEFT_OUT = (".venv", ".moat", ".git", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis")
PROMISES, RACES, STORE = (
    "tests/proofs/access/test_promises.py::test_",
    "tests/proofs/access/test_races.py::test_",
    "tests/index/test_store.py::TestWeaviate::test_",
)


@dataclass(frozen=True)
class Mutant:
    """A seeded bug: what stands in a file and what is put there instead, and the test that must turn red."""

    name: str
    file: str
    old: str
    new: str
    test: str


MUTANTS = (
    Mutant(
        "allow is cut into words",
        "include/moat/index/schema.py",
        'Property(name="allow", data_type="text[]", tokenization="field"',
        'Property(name="allow", data_type="text[]", tokenization="word"',
        f"{STORE}tokens_are_terms_of_their_own_never_words",
    ),
    Mutant(
        "the filter of who asks is dropped",
        "include/moat/index/filters.py",
        'parts = [Filter.by_property("allow").contains_any(list(query.tokens))]',
        'parts = [Filter.by_property("load").greater_or_equal(0)]',
        f"{STORE}only_who_is_allowed_finds_it",
    ),
    Mutant(
        "loads that are under way are not left out",
        "include/moat/index/filters.py",
        "    if query.hidden_loads:\n",
        "    if query.hidden_loads and False:\n",
        f"{STORE}a_load_that_is_under_way_is_left_out",
    ),
    Mutant(
        "the second look is skipped",
        "include/moat/ledger/second_look.py",
        "        if allowed[row.body]:\n",
        "        if row.body in allowed:\n",
        f"{RACES}an_index_that_fails_under_the_lane_loses_no_revocation",
    ),
    Mutant(
        "expanded groups are kept by the asker alone",
        "include/moat/ledger/members.py",
        "canonical(asker), fresh(connection, tenant))",
        "canonical(asker), 0 * fresh(connection, tenant))",
        f"{PROMISES}a_change_of_a_groups_members_holds_from_the_next_question_on",
    ),
    Mutant(
        "deny is ignored in the second look",
        "include/moat/access/policy.py",
        "return not (self.deny & everyone) and all(",
        "return all(",
        f"{PROMISES}a_deny_holds_for_members_of_a_denied_group_inside_another",
    ),
    Mutant(
        "deny is ignored among the policies that an asker satisfies",
        "include/moat/ledger/policies.py",
        "if -1 not in met and len(met) == needed[digest]",
        "if len(met - {-1}) == needed[digest]",
        f"{PROMISES}a_deny_holds_for_members_of_a_denied_group_inside_another",
    ),
    Mutant(
        "one layer is enough in the second look",
        "include/moat/access/policy.py",
        "all(layer & everyone for layer in self.layers)",
        "any(layer & everyone for layer in self.layers)",
        f"{PROMISES}inherited_access_restricts",
    ),
    Mutant(
        "one layer is enough among the policies that an asker satisfies",
        "include/moat/ledger/policies.py",
        "len(met) == needed[digest]",
        "len(met) >= 1",
        f"{PROMISES}inherited_access_restricts",
    ),
    Mutant(
        "inherit is ignored",
        "include/moat/access/rules.py",
        'if not says.get("inherit", found.get("inherit", False)):',
        "if True:",
        f"{PROMISES}inherited_access_restricts",
    ),
    Mutant(
        "a NULL column is nobody's, which is known",
        "include/moat/access/lists.py",
        "        if place and (cell is None or ",
        "        if (cell is None or ",
        "tests/access/test_rules.py::test_a_column_that_says_nothing_is_unknown",
    ),
    Mutant(
        "what became unknown is not masked",
        "include/moat/ledger/access.py",
        "    if now is None or wanted is None:\n        return None\n",
        "    if now is None or wanted is None:\n        return now\n",
        f"{PROMISES}unknown_access_is_nobodys_until_it_is_known_again",
    ),
    Mutant(
        "what narrows waits for promotion like what widens",
        "include/moat/ledger/access.py",
        "    return now.both(wanted) if wanted.widens(now) else wanted\n",
        "    return now\n",
        f"{RACES}a_load_that_is_rejected_takes_nothing_of_a_revocation_with_it",
    ),
    Mutant(
        "a promotion overwrites access that is newer",
        "include/moat/ledger/promoted_access.py",
        "access_change.c.load_id == number, access_change.c.from_version == document.c.access_version)",
        "access_change.c.load_id == number)",
        "tests/ledger/test_documents.py::test_a_load_never_overwrites_access_that_is_newer_in_the_ledger_onyx_7384",
    ),
    Mutant(
        "a promotion leaves no trace for readings that began before",
        "include/moat/ledger/promoted_access.py",
        "access_version=document.c.access_version + 1, access_seen=seq)",
        "access_version=document.c.access_version + 1)",
        f"{RACES}a_listing_that_is_older_than_a_promotion_does_not_widen_what_the_load_brought",
    ),
    Mutant(
        "an old listing takes its own narrowing for leave to widen",
        "include/moat/ledger/access_sync.py",
        "for m in changed if rows[m.document].seen <= base}",
        "for m in changed}",
        f"{RACES}a_listing_that_is_older_than_a_revocation_does_not_take_it_back",
    ),
    Mutant(
        "a load that listed long ago widens all the same",
        "include/moat/ledger/access.py",
        " and row.seen <= base\n",
        "\n",
        f"{RACES}a_load_whose_listing_is_older_than_a_revocation_does_not_take_it_back",
    ),
    Mutant(
        "a load under way keeps whom its source has let out again",
        "include/moat/ledger/access_sync.py",
        "_drop(connection, [o.document for o in window if o.digest == digest], but=digest)",
        "pass",
        f"{RACES}who_a_load_was_going_to_let_in_stays_out_when_the_source_thinks_again",
    ),
    Mutant(
        "what becomes public is not held",
        "include/moat/maintenance/access_sync.py",
        "return [w for w in new if w.key not in why], [w for w in new if w.key in why], reasons",
        "return list(new), [], []",
        f"{PROMISES}what_becomes_public_waits_for_a_person",
    ),
    Mutant(
        "any number of documents may widen",
        "include/moat/checks/widening.py",
        "    if n_wider > most or len(opened) > limits.max_widened_documents:",
        "    if n_wider < 0:",
        f"{PROMISES}more_widened_documents_than_the_limit_wait_for_a_person",
    ),
    Mutant(
        "an erased document is shown",
        "include/moat/ledger/second_look.py",
        "            document.c.erased_at.is_(None),\n",
        "",
        f"{PROMISES}an_erased_document_is_nobodys",
    ),
    Mutant(
        "what a load retired stays visible",
        "include/moat/ledger/documents.py",
        "return and_(promoted(table.c.added_in), ~promoted(table.c.retired_in))",
        "return promoted(table.c.added_in)",
        f"{PROMISES}a_text_that_was_replaced_is_nobodys",
    ),
    Mutant(
        "principals keep their capital letters",
        "include/moat/access/names.py",
        "return name.lower() if name.isascii() else",
        "return name if name.isascii() else",
        "tests/access/test_policy.py::test_one_form_for_case_and_unicode_twins",
    ),
    Mutant(
        "groups inside groups are not followed",
        "include/moat/ledger/members.py",
        "        edge = above - found\n        found |= edge\n",
        "        edge = set()\n        found |= above\n",
        f"{PROMISES}a_deny_holds_for_members_of_a_denied_group_inside_another",
    ),
    Mutant(
        "a source whose access cannot be read is shown for ever",
        "include/moat/ledger/second_look.py",
        '            or_(source.c.access_until.is_(None), source.c.access_until > bindparam("now")),\n',
        "",
        f"{PROMISES}a_source_whose_access_cannot_be_read_for_too_long_is_masked_until_it_can",
    ),
    Mutant(
        "a directory may be of any age",
        "include/moat/ledger/members.py",
        "if row.max_age_s is not None and (",
        "if row.max_age_s is None and (",
        f"{PROMISES}a_directory_that_was_not_read_for_too_long_gives_nothing",
    ),
    Mutant(
        "an asker whom nobody knows is somebody",
        "include/moat/search/identity.py",
        "        if not of_one:\n",
        "        if of_one is None:\n",
        "tests/test_retrieve.py::test_whoever_is_not_known_gets_nothing_and_it_is_in_the_audit",
    ),
    Mutant(
        "documents of two tenants have the same ids",
        "include/moat/ids.py",
        'return str(uuid5(NAMESPACE, joined("document", tenant, source, key)))',
        'return str(uuid5(NAMESPACE, joined("document", source, key)))',
        "tests/test_ids.py",
    ),
    *(
        Mutant(*one)
        for one in (
            *OF_FILES,
            *WALLS,
            *NAMES,
            *PEOPLE,
            *MACHINE,
            *MANY,
            *OF_CHANGES,
            *OF_RULES,
            *READS,
            *RESTRICTED,
            *TEXTS,
            *LOSSES,
        )
    ),
)


def copied(to: Path) -> None:
    """The project as it stands, with the programs of this one."""
    shutil.copytree(PROJECT, to, ignore=shutil.ignore_patterns(*LEFT_OUT), dirs_exist_ok=True)
    (to / ".moat").mkdir()
    (to / ".venv").symlink_to(PROJECT / ".venv")
    (to / ".moat" / "bin").symlink_to(PROJECT / ".moat" / "bin")


def pytest(where: Path, *tests: str) -> tuple[int, str]:
    """Exit status and the end of what pytest says."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "--no-header",
        "--show-capture=no",
        "--tb=line",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run([*command, *tests], cwd=where, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout[-2_000:] + done.stderr[-500:]


def tried(mutant: Mutant, where: Path) -> tuple[bool, str]:
    """Whether its test turned red, and what was red."""
    file = where / mutant.file
    right = file.read_text("utf-8")
    if right.count(mutant.old) != 1:
        return False, f"its text stands {right.count(mutant.old)} times in {mutant.file}"
    file.write_text(right.replace(mutant.old, mutant.new), "utf-8")
    try:
        code, said = pytest(where, mutant.test)
    finally:
        file.write_text(right, "utf-8")
    red = re.search(r"^(?:FAILED|ERROR) \S+?::(\S+)", said, re.M)
    return code == 1 and bool(red), red.group(1) if red else f"pytest ended with {code}: {said[-300:]}"


def main(words: list[str]) -> int:
    chosen = [m for m in MUTANTS if not words or any(word in m.name for word in words)]
    survivors = []
    with tempfile.TemporaryDirectory(prefix="moat-mutants-") as folder:
        where = Path(folder, "moat")
        copied(where)
        code, said = pytest(where, *dict.fromkeys(m.test for m in chosen))
        if code:
            print(f"the tests must pass before anything is broken:\n{said}")
            return 1
        for mutant in chosen:
            started = time.monotonic()
            killed, by = tried(mutant, where)
            print(
                f"{'killed ' if killed else 'ALIVE  '} {time.monotonic() - started:5.1f} s  {mutant.name:<70} {by[:110]}",
                flush=True,
            )
            survivors += [] if killed else [mutant.name]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} seeded bugs turned a test red")
    return 1 if survivors else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
