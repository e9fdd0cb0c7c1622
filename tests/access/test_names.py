"""Names of principals: one form each, and nothing that passes for another."""

import email
import email.policy
import sys
import unicodedata
from email.utils import getaddresses
from pathlib import Path

import pytest
from confusable_homoglyphs.confusables import confusables_data
from hypothesis import given, settings
from hypothesis import strategies as st

from moat.access.policy import Policy, access_token, canonical
from moat.errors import AccessUnknown

ASCII = "abcdefghijklmnopqrstuvwxyz0123456789.-_@/+'"
LIKE_ASCII = sorted({like["c"] for c in ASCII for like in confusables_data.get(c, ()) if len(like["c"]) == 1})


def read(principal: str) -> str | None:
    try:
        return canonical(principal)
    except AccessUnknown:
        return None


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("user:Alice@Example.com", "user:alice@example.com"),
        ("User:Alice@Example.com", "user:alice@example.com"),
        ("GROUP:HR", "group:hr"),
        ("user:JOSE\u0301@x.org", "user:jos\u00e9@x.org"),
        ("user:zoë@Bücher.example", "user:zoë@xn--bcher-kva.example"),
        ("user:zoë@XN--BCHER-KVA.example", "user:zoë@xn--bcher-kva.example"),
        ("user:BJÖRN", "user:björn"),
        ("user:\u212bsa@x.org", "user:\u00e5sa@x.org"),
        ("user:иван@пример.рф", "user:иван@xn--e1afmkfd.xn--p1ai"),
        ("user:山田たろう@例え.jp", "user:山田たろう@xn--r8jz45g.jp"),
        ("user:yıldız@x.org", "user:yıldız@x.org"),
        ("group:okta/отдел", "group:okta/отдел"),
        ("group:okta/00g1a2b3", "group:okta/00g1a2b3"),
        ("group:{3F2504E0-4F89-41D3-9A0C-0305E82C3301}", "group:{3f2504e0-4f89-41d3-9a0c-0305e82c3301}"),
        ("group:ad/CN=hr,OU=groups,DC=example", "group:ad/cn=hr,ou=groups,dc=example"),
        ("group:ad/CN=Müller,OU=groups", "group:ad/cn=müller,ou=groups"),
        (r"group:ad/CN=a\,b,OU=groups", r"group:ad/cn=a\,b,ou=groups"),
        ("user:CORP\\Hugo", "user:corp\\hugo"),
        ("user:o'brien+x@corp.com", "user:o'brien+x@corp.com"),
        ("group:arn:aws:iam::1:role/hr", "group:arn:aws:iam::1:role/hr"),
        ("user:{|}~!#$%&*=?^`@x.org", "user:{|}~!#$%&*=?^`@x.org"),
    ],
)
def test_names_of_the_usual_directories_keep_one_form(written: str, kept: str) -> None:
    assert canonical(written) == kept
    assert canonical(kept) == kept


REFUSED = {
    "KELVIN SIGN": "user:\u212aevin@x.org",
    "long s": "user:mo\u017fes@x.org",
    "capital I with a dot": "user:\u0130van@x.org",
    "a second dot on i": "user:i\u0307van@x.org",
    "a second dot on i, after another mark": "user:i\u0323\u0307van@x.org",
    "full width": "user:\uff21nn@x.org",
    "full width in the domain": "user:ann@\uff58.org",
    "KELVIN SIGN in the domain": "user:ann@\u212abank.com",
    "another full stop in the domain": "user:ann@x\u3002org",
    "a ligature": "user:\ufb01ona@x.org",
    "Cyrillic in Latin": "user:\u0430nn@x.org",
    "Latin and Cyrillic, one after the other": "user:ivan.\u0438\u0432\u0430\u043d@x.org",
    "Greek in Latin": "user:\u03bfmar@x.org",
    "Cyrillic alone, as if Latin": "user:\u0441\u043e\u0440@x.org",
    "Cyrillic alone in the domain": "user:ann@\u0430\u0440\u0440.com",
    "Cyrillic in a Latin domain": "user:ann@ex\u0430mple.com",
    "script g": "user:\u0261oogle@x.org",
    "a modifier apostrophe": "user:o\u02bcbrien@x.org",
    "a typographic apostrophe": "user:o\u2019brien@x.org",
    "another hyphen": "user:ann\u2010marie@x.org",
    "zero width space": "user:a\u200bnn@x.org",
    "combining grapheme joiner": "user:a\u034fnn@x.org",
    "variation selector": "user:a\ufe0fnn@x.org",
    "Hangul filler": "user:a\u3164nn@x.org",
    "Hangul choseong filler": "user:\u115fnn@x.org",
    "Mongolian vowel separator": "user:a\u180enn@x.org",
    "tag characters": "user:ann\U000e0061@x.org",
    "soft hyphen": "user:a\u00adnn@x.org",
    "right to left mark": "user:ann\u200f@x.org",
    "an emoji": "user:ann\U0001f600@x.org",
    "digits of two scripts": "user:\u0661\u06f1@x.org",
    "a name in quotes": 'user:"ann"@x.org',
    "an address with a name": "user:Ann<ann@x.org>",
    "two, by comma": "user:ann@x.org,user:hugo@x.org",
    "two, by semicolon": "user:ann@x.org;user:hugo@x.org",
    "a list": "group:[hr]",
    "no kind in another script": "u\u0455er:ann@x.org",
    "two domains": "user:zoë@x@y.org",
    "an unassigned character": "user:a\u0378@x.org",
    "half a pair": "user:\ud800@x.org",
    "NUL": "user:a\x00@x.org",
    "513 characters": "user:" + "a" * 508,
    "a domain that becomes too long": "user:" + "a" * 400 + "@" + ".".join(["ü" * 10] * 10),
}


@pytest.mark.parametrize("written", REFUSED.values(), ids=REFUSED)
def test_what_passes_for_another_is_refused_with_a_short_reason(written: str) -> None:
    with pytest.raises(AccessUnknown) as told:
        canonical(written)
    assert len(str(told.value)) < 400


def test_a_principal_of_512_characters_is_read_and_a_longer_one_says_so() -> None:
    assert len(canonical("user:" + "a" * 507)) == 512
    with pytest.raises(AccessUnknown, match="has 513 characters: 512 at the most"):
        canonical("user:" + "a" * 508)
    with pytest.raises(AccessUnknown, match="512 at the most"):
        Policy.of(["group:" + "g" * 500]).within("okta_of_the_north")


def test_no_character_outside_of_ascii_becomes_one_inside() -> None:
    for point in range(0x80, sys.maxunicode + 1):
        character = chr(point)
        if unicodedata.category(character)[0] in "LMN" and (point < 0x3400 or point > 0xD7A3):
            kept = read(f"user:{character}")
            assert kept is None or not any(c.isascii() for c in kept.removeprefix("user:")), f"U+{point:04X} {kept}"


@settings(deadline=None)
@given(st.text(st.sampled_from([*ASCII, *LIKE_ASCII]), min_size=1, max_size=12))
def test_whoever_looks_like_an_ascii_name_is_that_name_or_refused(name: str) -> None:
    kept = read(f"user:{name}")
    if kept is not None and not kept.isascii() and "ı" not in kept:
        local = kept.removeprefix("user:").partition("@")[0]
        twin = [next((c for c in ASCII for like in confusables_data.get(x, ()) if like["c"] == c), x) for x in local]
        assert local.isascii() or not "".join(twin).isascii(), (name, twin, kept)


@settings(deadline=None)
@given(st.text(max_size=30), st.sampled_from(["user", "group", "User", "GROUP"]))
def test_canonicalizing_again_changes_nothing(name: str, kind: str) -> None:
    kept = read(f"{kind}:{name}")
    if kept is not None:
        assert canonical(kept) == kept
        assert kept == unicodedata.normalize("NFC", kept)
        assert read(unicodedata.normalize("NFD", f"{kind}:{name}")) in (kept, None)


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40))
def test_ascii_names_only_lose_their_capital_letters_so_that_tokens_stay(name: str) -> None:
    kept = read(f"user:{name}")
    assert kept in (f"user:{name.lower()}", None)


def test_tokens_of_ascii_principals_are_the_same_in_every_version() -> None:
    assert access_token("default", canonical("user:Ann@Example.com")) == "u:hpi5nofy6gf33ues4prekrytuqs7wdzg"
    assert access_token("default", canonical("group:okta/00g1A2b3")) == "g:drzoxcnsjllqbbqsb3jx2qlvs44sqobd"


def test_addresses_of_real_mail_are_read_as_they_are(shared: Path) -> None:
    n = 0
    for file in sorted((shared / "enron_acl" / "mail").glob("*.eml")):
        message = email.message_from_bytes(file.read_bytes(), policy=email.policy.compat32)
        for _, address in getaddresses([str(h) for name in ("from", "to", "cc") for h in message.get_all(name, [])]):
            plain = address.isascii() and address.count("@") == 1 and not set(address) & set(' \t\r\n"<>[];,')
            if plain and len(address) < 500 and address.isprintable():
                n += 1
                assert canonical(f"user:{address}") == f"user:{address.lower()}"
    assert n > 500
