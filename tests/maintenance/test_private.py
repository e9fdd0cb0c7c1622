"""The state folder is its owner's: what others could read is named and closed, and what they cannot is left alone."""

import os
import stat
from pathlib import Path

import pytest

from moat.errors import SettingsError
from moat.maintenance.doctor import _private
from moat.maintenance.private import exposed, tighten
from moat.settings import Settings, private_folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state folder as an earlier version left it, with a link to what is not its own."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("another's")
    (outside / "file").chmod(0o644)
    home = tmp_path / "home's"
    (home / "s3" / "buckets").mkdir(parents=True)
    (home / "ledger.db").write_text("texts")
    (home / "s3" / "buckets" / "object").write_text("text")
    (home / "bin").symlink_to(outside)
    (home / "run").write_text("#!/bin/sh")
    (home / "run").chmod(0o755)
    for path in (home, home / "s3", home / "s3" / "buckets"):
        path.chmod(0o755)
    for path in (home / "ledger.db", home / "s3" / "buckets" / "object"):
        path.chmod(0o644)
    return home


def modes(home: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.lstat().st_mode) for path in sorted(home.rglob("*")) if not path.is_symlink()}


def test_it_is_closed_with_all_that_is_in_it_and_links_are_not_followed(home: Path) -> None:
    assert {path.name for path in exposed(home)} == {"home's", "s3", "buckets", "object", "ledger.db", "run"}
    assert tighten(home) == 5, "the folder itself is closed first"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert modes(home) == {"s3": 0o700, "buckets": 0o700, "object": 0o600, "ledger.db": 0o600, "run": 0o700}
    assert stat.S_IMODE((home.parent / "outside" / "file").stat().st_mode) == 0o644
    assert list(exposed(home)) == []
    assert tighten(home) == 0


def test_doctor_names_what_others_could_read_and_the_command_that_mends_it(home: Path) -> None:
    found = _private(home)
    assert not found.ok
    assert "6 files and folders" in found.found
    command = found.found.partition("Mend it by: ")[2]
    assert os.system(command) == 0
    assert _private(home).ok
    assert list(exposed(home)) == []


def test_reading_the_settings_closes_the_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOAT_HOME", str(home))
    Settings.load()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_folder_of_another_user_is_refused_by_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: home.stat().st_uid + 1)
    with pytest.raises(SettingsError, match=r"belongs to another user.*MOAT_HOME"):
        private_folder(home)
