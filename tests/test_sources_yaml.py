"""Many sources in one YAML file: what it gives, and what it says of a mistake."""

from pathlib import Path

import pytest

from moat.dagfile import sources_in
from moat.errors import DeclarationError
from moat.source import Groups, Limits, LocalFiles, S3Objects, Source
from moat.sources_yaml import sources_in_yaml

GOOD = """
defaults:
  schedule: "@daily"
  access: {Groups: {allow: [legal]}}
  owner: legal
sources:
  contracts:
    reader: {LocalFiles: {path: /srv/contracts, patterns: ["*.pdf"]}}
    limits: {min_documents: 10}
  policies:
    reader: {S3Objects: {conn_id: s3, bucket: policies}}
    access: {Groups: {allow: [staff]}}
    schedule: "30 1 * * *"
"""


def test_a_yaml_file_gives_what_a_dag_file_would_declare(tmp_path: Path) -> None:
    file = tmp_path / "legal.yaml"
    file.write_text(GOOD)
    contracts = Source(
        name="contracts",
        reader=LocalFiles("/srv/contracts", patterns=("*.pdf",)),
        access=Groups(("legal",)),
        limits=Limits(min_documents=10),
        owner="legal",
    )
    policies = Source(name="policies", reader=S3Objects("s3", "policies"), access=Groups(("staff",)), owner="legal")
    assert list(sources_in_yaml(file)) == [(contracts, "@daily"), (policies, "30 1 * * *")]
    (tmp_path / "legal.py").write_text(
        "from ingest import ingest\nfrom include.source import sources_in_yaml\n"
        f"for source, schedule in sources_in_yaml({str(file)!r}):\n    ingest(source, schedule=schedule)\n"
    )
    assert sources_in(tmp_path / "legal.py") == [contracts, policies]


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("sources:", "source:", ["legal.yaml: source: no such field; it takes defaults, sources"]),
        ("min_documents", "min_document", ["source 'contracts'", "limits.min_document", "Did you mean min_documents?"]),
        ("LocalFiles", "LocalFile", ["reader={'LocalFile'", "one of LocalFiles, S3Objects, WarehouseRows"]),
        ("{Groups: {allow: [staff]}}", "staff", ["policies", "access='staff'", "{Groups: {allow: [staff]}}"]),
        ("owner: legal", "owner: legal\n  colour: red", ["defaults: colour: no such field"]),
        ('"30 1 * * *"', "30", ["policies: schedule=30: cron or a preset, in quotes"]),
        ("  policies:", "  contracts:", ["key 'contracts' stands twice, in lines 7 and 10"]),
        ("{allow: [legal]}", "{}", ["source 'contracts'", "allow: Groups needs it"]),
        ("sources:", "sources: {}\nmore:", ["no such field"]),
        ("  contracts:", "  Contracts:", ["name='Contracts': small letters"]),
    ],
)
def test_a_mistake_is_named_with_the_file_the_source_and_the_field(
    right: str, wrong: str, words: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "legal.yaml"
    file.write_text(GOOD.replace(right, wrong, 1))
    with pytest.raises(DeclarationError) as error:
        list(sources_in_yaml(file))
    for word in ["legal.yaml", *words]:
        assert word in str(error.value)


def test_a_file_that_is_missing_names_itself(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"none\.yaml cannot be read"):
        list(sources_in_yaml(tmp_path / "none.yaml"))
