"""What `moat members load` refuses before it touches the ledger."""

from pathlib import Path

import pytest

from moat.cli.run import members_load
from moat.errors import FatalError

ANN, BOB = "user:ann@tide.example", "user:bob@tide.example"


def refused(file: Path) -> str:
    with pytest.raises(FatalError) as error:
        members_load(file)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"group:legal: ['{ANN}']\ngroup:legal: ['{BOB}']\n", ["line 2", "legal is there already, in line 1"]),
        (f"group:legal: ['{ANN}']\n'group:legal': ['{BOB}']\n", ["line 2", "legal is there already, in line 1"]),
        (f"group:legal: ['{ANN}']\nlegal: ['{BOB}']\n", ["line 2", "legal is there already, in line 1"]),
        (f"group:legal: ['{ANN}']\ngroup:staff: '{BOB}'\n", ["line 2", "group staff needs a list"]),
        (f"a: &a ['{ANN}']\n<<: *a\n<<: *a\n", ["line 2", "holds <"]),
        (f"group:legal: ['{ANN}', null]\n", ["line 1", "no kind"]),
        (f"group:legal: ['{ANN}', 7]\n", ["line 1", "'7' has no kind"]),
        (f"group:legal: ['{ANN}']\n---\ngroup:legal: ['{BOB}']\n", ["cannot be read"]),
        (f"group:legal:\n\t- '{ANN}'\n", ["cannot be read"]),
    ],
)
def test_a_file_of_members_that_says_two_things_is_refused_with_its_line(
    text: str, words: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "groups.yaml"
    file.write_text(text, "utf-8")
    said = refused(file)
    for word in [str(file), *words]:
        assert word in said


def test_the_shared_file_with_a_group_twice_is_refused(shared: Path) -> None:
    assert "legal is there already, in line 1" in refused(shared / "words" / "members-dup-group.yaml")
