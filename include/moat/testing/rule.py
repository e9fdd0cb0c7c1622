"""What every rule of access must keep, as tests: it never guesses.

A rule of your own gets the suite for one fixture:

    from moat.testing.rule import Judged, RuleContract

    class TestMyRule(RuleContract):
        @pytest.fixture
        def judged(self) -> Judged:
            return Judged(rule=Owner(), known=Facts("a.md", columns={"owner": "ann"}), policy=Policy.of(["user:ann"]))
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import get_args

from moat.access.access_files import Beside
from moat.access.policy import Access, Policy
from moat.access.rules import AccessRule, Facts, Needs
from moat.errors import AccessUnknown

NOTHING_SAID = (None, "", " ", "\x00", object())  # what stands where a principal should


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A rule, the facts of a document that it can judge, and the policy that these give."""

    rule: AccessRule
    known: Facts
    policy: Policy
    files: Mapping[str, str] = field(default_factory=dict)  # beside the document, by their paths

    def access(self, facts: Facts, beside: Beside | None = None) -> Access:
        """What a reader makes of the rule: AccessUnknown is unknown access; no other error may come."""
        try:
            return self.rule.judge(beside or self.files.get)(facts)
        except AccessUnknown as error:
            return Access.unknown(str(error))


class RuleContract:
    """Put known, missing and damaged facts before a rule."""

    def test_what_it_needs_is_what_readers_offer(self, judged: Judged) -> None:
        assert judged.rule.needs in get_args(Needs)

    def test_it_is_declared_rightly(self, judged: Judged) -> None:
        assert judged.rule.wrong() == []

    def test_it_gives_the_policy_of_known_facts(self, judged: Judged) -> None:
        assert judged.access(judged.known).policy == judged.policy

    def test_it_gives_the_same_twice(self, judged: Judged) -> None:
        assert judged.access(judged.known) == judged.access(judged.known)

    def test_a_fact_that_is_missing_makes_access_unknown_with_a_reason_and_never_wider(self, judged: Judged) -> None:
        for name in judged.known.columns:
            for said in NOTHING_SAID:
                self.not_wider(judged, replace(judged.known, columns={**judged.known.columns, name: said}))
        for name in judged.known.tags:
            self.not_wider(judged, replace(judged.known, tags={**judged.known.tags, name: ""}))
        if judged.known.columns or judged.known.tags:
            self.not_wider(judged, Facts(judged.known.path, dict.fromkeys(judged.known.columns), {}))

    def test_a_file_beside_that_cannot_be_read_makes_access_unknown(self, judged: Judged) -> None:
        if judged.rule.needs != "files beside":
            return

        def refused(path: str) -> str | None:
            raise AccessUnknown(f"{path} cannot be read")

        assert judged.access(judged.known, refused).policy is None
        assert judged.access(judged.known, lambda path: None).policy is None

    def not_wider(self, judged: Judged, facts: Facts) -> None:
        """Fail if these facts let somebody in whom the known ones keep out."""
        found = judged.access(facts)
        if found.policy is None:
            assert found.reason, "unknown access says why"
            return
        assert not found.policy.widens(judged.policy), f"{facts} let in {found.policy.words()}"
