"""Bytes become the text that their writer meant, whatever they declare."""

import pytest

from moat.errors import ParseUndecodable
from moat.parse.encoding import decode, label
from tests.parsing import parsed, text_of

CHINESE = "港口在早上六点开放，到晚上十点关闭。\n请在入口处出示证件。" * 3
JAPANESE = "港は午前六時に開きます。入口で証明書を見せてください。\n" * 3
KOREAN = "항구는 아침 여섯 시에 열립니다. 입구에서 신분증을 보여 주세요.\n" * 3
RUSSIAN = "Порт открывается в шесть часов утра.\nПокажите документ.\n" * 3


@pytest.mark.parametrize(
    "text",
    [CHINESE, JAPANESE, KOREAN, RUSSIAN, "Το λιμάνι ανοίγει στις έξι.\n" * 3, "ท่าเรือเปิดเวลาหกโมงเช้า ทุกวัน\n" * 3,
     "يفتح الميناء في السادسة صباحا.\n" * 3, "The port opens at six."],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_read_in_every_script(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("text", "encoding", "declared"),
    [
        ("costs €480 – driver’s", "cp1252", "iso-8859-1"),
        ("costs €480 – driver’s", "cp1252", "latin-1"),
        ("costs €480 – driver’s", "cp1252", "us-ascii"),
        ("朱镕基与港口", "gb18030", "gb2312"),
        ("①髙﨑 港", "cp932", "shift_jis"),
        ("똠방각하", "cp949", "euc-kr"),
        (RUSSIAN, "koi8_r", "KOI8-R"),
        (RUSSIAN, "iso8859_5", "iso-8859-5"),
        (JAPANESE, "iso2022_jp", "iso-2022-jp"),
        (JAPANESE, "iso2022_jp", None),
        ("Kranführer prüft", "utf-8", "us-ascii"),
        ("Kranführer prüft", "utf-8", "gb2312"),
        ("Kranführer prüft", "cp1252", "utf-16"),
        ("1 +AGE- 2", "ascii", "utf-7"),
        ("Kranführer prüft", "cp1252", "no-such-name"),
    ],
)
def test_declared_names_mean_what_they_mean_on_the_web(text: str, encoding: str, declared: str | None) -> None:
    assert decode(text.encode(encoding), declared=declared) == text
    if declared:
        page = f'<html><head><meta charset="{declared}"></head><body><p>{text}</p></body></html>'
        assert text_of(parsed(page.encode(encoding), "p.html")).split() == text.split()


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ("<?xml version='1.0' encoding='koi8-r'?><html><body>", "koi8-r"),
        ("<html><meta http-equiv=content-type content='text/html; charset=koi8-r'>", "koi8-r"),
        ("<html><!-- <meta charset=greek> --><script charset=greek></script><meta charset=koi8-r>", "koi8-r"),
    ],
)
def test_only_what_declares_the_page_declares_it(head: str, name: str) -> None:
    page = f"{head}<p>Привет всем</p>"
    assert decode(page.encode(name), markup=True) == page


def test_labels() -> None:
    names = ["utf-7", "UTF8", "gb2312", "x-sjis", "ks_c_5601-1987", "base64", "bogus", "latin1", "iso-2022-kr"]
    assert [label(name) for name in names] == [
        None, "utf-8", "gb18030", "cp932", "cp949", None, None, "windows-1252", "iso2022_kr",
    ]  # fmt: skip


def test_a_declared_encoding_that_fails_on_a_byte_is_still_believed() -> None:
    damaged = (CHINESE * 3).encode("gb18030")[:-1] + b"\xff"
    assert decode(damaged, declared="gb2312").startswith(CHINESE * 2)


def test_binary_data_is_no_text() -> None:
    with pytest.raises(ParseUndecodable):
        decode(bytes(range(32)) * 300)
