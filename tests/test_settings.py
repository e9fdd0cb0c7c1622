"""Settings are typed, read once, and a misspelt one is said so."""

from pathlib import Path

import pytest

from moat.errors import SettingsError
from moat.settings import PREFIX, PROJECT, Settings


def test_the_environment_wins_over_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "env").write_text("MOAT_WEAVIATE_PORT='9999'\nMOAT_TENANT='acme'\n")
    monkeypatch.setenv("MOAT_HOME", str(tmp_path))
    monkeypatch.setenv("MOAT_TENANT", "beta")
    settings = Settings.load()
    assert (settings.weaviate_port, settings.tenant) == (9999, "beta")
    assert settings.ledger == f"sqlite:///{tmp_path}/ledger.db"
    assert settings.collection_name == "Moat_beta"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MOAT_WEAVIATE_PROT", "1", ["MOAT_WEAVIATE_PROT is not a setting", "Did you mean MOAT_WEAVIATE_PORT?"]),
        ("MOAT_WEAVIATE_PORT", "eighty", ["MOAT_WEAVIATE_PORT='eighty'", "integer", ".env.example"]),
        ("MOAT_TENANT", "Acme Corp", ["MOAT_TENANT='Acme Corp'"]),
        ("MOAT_EMBEDDER", "cloud", ["MOAT_EMBEDDER='cloud'", "endpoint"]),
        ("MOAT_MAX_BATCHES", "100000", ["MOAT_MAX_BATCHES", "1024"]),
    ],
)
def test_a_wrong_setting_names_itself_and_what_it_takes(
    name: str, value: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        Settings.load()
    for word in words:
        assert word in str(error.value)


def test_a_setting_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file := tmp_path / "key").write_text("hush\n")
    monkeypatch.setenv("MOAT_WEAVIATE_WRITER_KEY_FILE", str(file))
    monkeypatch.setenv("MOAT_LEDGER_URL_FILE", "")  # unset, as everywhere
    settings = Settings.load()
    assert (settings.weaviate_writer_key.get_secret_value(), settings.ledger_url) == ("hush", "")
    for name, value, words in (
        ("MOAT_WEAVIATE_WRITER_KEY", "other", "are both set"),
        (
            "MOAT_EMBEDDER_KEY_FILE",
            str(tmp_path / "none"),
            "MOAT_EMBEDDER_KEY_FILE=.*cannot be read: FileNotFoundError",
        ),
        ("MOAT_EMBEDER_KEY_FILE", str(file), "is not a setting"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(SettingsError, match=words) as error:
                Settings.load()
            assert "hush" not in str(error.value)


def test_secrets_are_not_shown() -> None:
    assert "hush" not in repr(Settings.model_validate({"weaviate_writer_key": "hush"}))


def test_the_example_lists_every_setting_with_its_default() -> None:
    lines = (PROJECT / ".env.example").read_text().splitlines()
    shown = {
        line.lstrip("# ").partition("=")[0]: line.partition("=")[2]
        for line in lines
        if line.lstrip("# ").startswith(PREFIX)
    }
    assert set(shown) == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        default = field.default.get_secret_value() if hasattr(field.default, "get_secret_value") else field.default
        if name != "home":
            assert shown[f"{PREFIX}{name.upper()}"] == str(default).replace("True", "true").replace("False", "false"), (
                name
            )
