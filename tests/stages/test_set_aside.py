"""Quarantine follows what the source has now, and a limit that is raised is another try."""

import os

from moat.ledger import history, quarantine
from moat.ledger.quarantine import Which
from moat.search.explain_document import explain
from moat.stages.compare import pending
from tests.company import LEAVE, Company

BROKEN = b"PK\x03\x04 no archive"


def resting(company: Company) -> list[str]:
    """Keys in quarantine, as the list, health and `explain` tell them alike."""
    ledger = company.runtime.ledger
    listed = sorted(q.key for q in quarantine.listing(ledger, "docs"))
    assert sum(group.n for group in history.quarantined(ledger, "docs")) == len(listed)
    stories = {key: explain(ledger, "docs", key) for key in ("leave.md", "trips.md", "big.md")}
    assert sorted(key for key, story in stories.items() if story and story.quarantined) == listed
    return listed


def test_an_entry_whose_content_is_back_is_closed_and_a_raised_limit_tries_again(company: Company) -> None:
    company.set(max_document_mb=1)
    company.run()
    kept = {name: (company.folder / name).stat() for name in ("leave.md", "trips.md")}
    texts = {name: (company.folder / name).read_bytes() for name in kept}
    for name in kept:
        company.write(name, b"\x00\x01\x02" * 100)
    company.write("big.md", "x" * ((1 << 20) + 1))
    company.run()
    assert resting(company) == ["big.md", "leave.md", "trips.md"]

    for name, text in texts.items():
        company.write(name, text)
    os.utime(company.folder / "leave.md", ns=(kept["leave.md"].st_atime_ns, kept["leave.md"].st_mtime_ns))
    result = company.run()
    assert (company.folder / "leave.md").read_text() == LEAVE
    assert result.load.state == "unchanged", result.load.reason
    assert resting(company) == ["big.md"], "one came back by its stamp, the other by its content"

    (big,) = quarantine.listing(company.runtime.ledger, "docs")
    assert big.until == "until it changes, or MOAT_MAX_DOCUMENT_MB is raised"
    command = "`moat quarantine replay docs big.md`"
    assert big.way == f"raise MOAT_MAX_DOCUMENT_MB: the next run tries it again; {command} has it tried as it is"
    story = explain(company.runtime.ledger, "docs", "big.md")
    assert story is not None
    assert big.until in str(story.quarantined)
    assert command in str(story.quarantined)
    assert pending(company.runtime, company.source)["resting"] == 1
    company.set(max_document_mb=2)
    assert pending(company.runtime, company.source)["new"] == 1, "the limit was raised"
    assert quarantine.known_filter(company.runtime.ledger, "docs", Which(key="big.md")).key == "big.md"
