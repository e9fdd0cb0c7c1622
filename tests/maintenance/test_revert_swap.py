"""Who came by a swap of a directory is taken out in one step, and comes again only by a person."""

from collections.abc import Sequence

import pytest

from moat.connections import EnvironmentConnections
from moat.directories.directory import Directory
from moat.directories.reader import DirectoryGroup
from moat.directories.sync import SyncedDirectory
from moat.errors import DecisionRefused
from moat.ledger import audit, holds, member_passes, passes
from moat.ledger.members import memberships
from moat.maintenance.access_sync import settle, sync_access
from moat.maintenance.revert import Reverted
from moat.maintenance.revert_swap import planned, revert
from moat.maintenance.swaps import load_members, sync_directory
from tests.company import ANN, HUGO, Company
from tests.directories.test_sync import Told

IDA, LEO, BO = "user:ida@example.com", "user:leo@example.com", "user:bo@example.com"
CREW = "group:okta/crew"


class Site:
    """The company, whose people team holds a group of a directory."""

    def __init__(self, company: Company) -> None:
        self.company, self.ledger, self.reader = company, company.runtime.ledger, Told()
        self.directory = Directory(name="okta", reader=self.reader)
        object.__setattr__(company.runtime, "connections", EnvironmentConnections({}))
        hand = {"group:everyone": [ANN, "group:people"], "group:people": [HUGO, CREW]}
        load_members(company.runtime, "test", hand, "test")

    def sync(self, **groups: Sequence[str]) -> SyncedDirectory:
        self.reader.groups = [DirectoryGroup(name, tuple(who)) for name, who in groups.items()]
        return sync_directory(self.company.runtime, self.directory, "test")

    def crew(self) -> set[str]:
        return {who for group, who in memberships(self.ledger, "okta")[1] if group == CREW}

    def revert(self, number: int) -> Reverted:
        return revert(self.company.runtime, number, "cli:ines", "ticket 7")


@pytest.fixture
def site(company_on_either_ledger: Company, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(company_on_either_ledger)
    for place in ("revert_swap", "access_sync"):
        monkeypatch.setattr(f"moat.maintenance.{place}.directory_named", lambda name: made.directory)
    return made


def test_who_came_by_a_swap_is_out_at_once_and_waits_for_a_person(site: Site) -> None:
    assert site.sync(crew=[IDA, LEO]).number == 0, "a first reading is no gain"
    swap = site.sync(crew=[IDA, ANN])
    assert swap.number
    assert site.company.shows_pay_to(ANN)
    (listed,) = passes.listing(site.ledger, "okta")
    assert (listed.id, listed.kind, listed.documents, listed.by) == (swap.number, "directory", 1, "test")
    would = planned(site.ledger, swap.number)
    assert ([one.key for one in would.taken], would.people) == ([f"{ANN} in {CREW}"], 1)
    assert site.company.shows_pay_to(ANN), "a plan changes nothing"

    done = site.revert(swap.number)
    assert ([one.key for one in done.taken], done.kind) == ([f"{ANN} in {CREW}"], "directory")
    assert not site.company.shows_pay_to(ANN)
    assert site.crew() == {IDA}, "who left by the swap does not come back"
    (row,) = audit.tail(site.ledger, 9, action="revert")
    assert (row.actor, row.subject) == ("cli:ines", "members of directory okta")
    assert (row.detail["pass"], row.detail["memberships"], row.detail["because"]) == (swap.number, 1, "ticket 7")
    assert done.hold is not None, "it waits at once"
    assert (
        f"taken back by the revert of pass {swap.number}: {ANN} in {CREW}" in holds.get(site.ledger, done.hold).reason
    )

    again = site.sync(crew=[IDA, ANN, BO])
    assert (again.outcome, site.crew()) == ("held", {IDA, BO}), "others come meanwhile"
    assert again.hold is not None
    settle(site.company.runtime, again.hold, True, "cli:ines", "she works there now")
    assert site.company.shows_pay_to(ANN)
    assert member_passes.kept_out(site.ledger, "okta") == {}
    newest = passes.listing(site.ledger, "okta")[0].id
    (stays,) = site.revert(swap.number).stays
    assert stays.stays == f"pass {newest} let it in again since: `moat access revert {newest}` takes that back"
    assert site.company.shows_pay_to(ANN)


def test_a_directory_that_takes_it_back_too_is_free_again(site: Site) -> None:
    site.sync(crew=[IDA])
    site.revert(site.sync(crew=[IDA, ANN]).number)
    assert site.sync(crew=[IDA]).outcome in ("swapped", "unchanged")
    assert (holds.listing(site.ledger), member_passes.kept_out(site.ledger, "okta")) == ([], {})
    assert site.sync(crew=[IDA, ANN]).outcome == "swapped"
    assert site.crew() == {IDA, ANN}


def test_a_membership_that_keeps_somebody_out_stays_and_others_go(site: Site) -> None:
    site.sync(crew=[IDA], barred=[BO])
    site.company.write("people/.access.yaml", f"allow: [group:everyone, {CREW}]\ndeny: ['group:okta/barred']")
    sync_access(site.company.runtime, site.company.source, "test")
    swap = site.sync(crew=[IDA, LEO], barred=[BO, ANN])
    assert (site.company.shows_pay_to(ANN), site.company.shows_pay_to(LEO)) == (False, True)
    done = site.revert(swap.number)
    assert [one.key for one in done.taken] == [f"{LEO} in {CREW}"]
    assert [(one.key, one.stays) for one in done.stays] == [
        (f"{ANN} in group:okta/barred", "a document is kept from the group, so its end would let somebody in")
    ]
    assert (site.company.shows_pay_to(ANN), site.company.shows_pay_to(LEO)) == (False, False)


def test_groups_kept_by_hand_come_again_by_hand_and_only_approvers_take_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    groups = {"group:everyone": [ANN, "group:people"], "group:people": [HUGO, CREW, ANN]}
    load_members(site.company.runtime, "test", groups, "test")
    number = passes.listing(site.ledger, "test")[0].id
    site.company.set(approvers="airflow:ann")
    with pytest.raises(DecisionRefused, match=f"revert of pass {number} of directory test"):
        site.revert(number)
    assert site.company.shows_pay_to(ANN)
    site.company.set(approvers="")
    assert site.revert(number).hold is None
    assert not site.company.shows_pay_to(ANN)
    load_members(site.company.runtime, "test", groups, "test")
    assert site.company.shows_pay_to(ANN)
    assert member_passes.kept_out(site.ledger, "test") == {}
