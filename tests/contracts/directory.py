"""What every reader of groups must keep, and what Moat makes of two of them."""

import pytest

from moat.directories.directory import Directory
from moat.directories.sync import sync
from moat.ledger import Ledger
from moat.ledger.members import memberships, principals_of
from moat.testing import directory
from moat.testing.directory import ANN, BOB, ZOE, Company

__all__ = ["ANN", "BOB", "ZOE", "Company", "DirectoryContract"]


class DirectoryContract(directory.DirectoryContract):
    def test_onyx_13115_groups_of_one_name_in_two_sites_stay_apart(
        self, people: Company, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """onyx#13115: groups of two sites with the same name were one group, so one site's people read the other's."""
        monkeypatch.setattr("moat.directories.sync.PROJECT", people.project)
        for site, who in (("lisbon", ANN), ("oslo", BOB)):
            people.put({"staff": [who]})
            sync(ledger, people.connections, Directory(name=site, reader=people.reader), "me", lambda line: None)
        of_site = {site: {group for group, _ in memberships(ledger, site)[1]} for site in ("lisbon", "oslo")}
        assert all(group.startswith(f"group:{site}/") for site, groups in of_site.items() for group in groups)
        with ledger.read() as connection:
            assert principals_of(connection, "default", ANN) == {ANN, *of_site["lisbon"]}
            assert principals_of(connection, "default", BOB) == {BOB, *of_site["oslo"]}
