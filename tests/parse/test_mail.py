"""Mail gives its text, its attachments and its invitations; what it quotes and signs is told apart."""

import base64
import struct
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moat.parse.mail_text import decoded
from moat.parse.options import Parsing
from moat.records import Block
from tests.parsing import invented_words, lost_words, parsed, shown, text_of, title_of

HEAD = b"From: ann@x.org\nTo: bob@x.org\nSubject: Berths\nMIME-Version: 1.0\n"
OWN = Parsing(quoted_replies=False)


def told(blocks: list[Block]) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in shown(blocks)]


def left_out(blocks: list[Block]) -> dict[str, str]:
    return {block.text: block.left_out for block in blocks if block.left_out}


def multipart(*parts: bytes, kind: bytes = b"mixed") -> bytes:
    body = b"".join(b"--B\n" + part + b"\n" for part in parts)
    return HEAD + b"Content-Type: multipart/" + kind + b"; boundary=B\n\n" + body + b"--B--\n"


def plain(text: str) -> bytes:
    return b"Content-Type: text/plain; charset=utf-8\n\n" + text.encode()


def html(markup: str) -> bytes:
    return b"Content-Type: text/html; charset=utf-8\n\n" + markup.encode()


def attached(name: bytes, content: bytes, kind: bytes = b"application/octet-stream") -> bytes:
    disposition = b"Content-Disposition: attachment; filename=" + name
    return b"\n".join(
        [b"Content-Type: " + kind, disposition, b"Content-Transfer-Encoding: base64", b"", base64.encodebytes(content)]
    )


def test_headers_are_no_text_and_the_subject_is_the_title() -> None:
    mail = (
        b"From: a@x.org\nTo: b@x.org\nCc: c@x.org\nDate: Mon, 2 Mar 2026 10:00:00 +0100\nSubject: Lunch\n\nAt noon.\n"
    )
    assert (title_of(mail, "1.eml"), told(parsed(mail, "1.eml"))) == ("Lunch", [("text", "At noon.")])


@pytest.mark.parametrize(
    ("subject", "title"),
    [
        (b"=?utf-8?Q?Caf=C3=A9_?= =?utf-8?Q?au_lait?=", "Café au lait"),
        (b"=?utf-8?B?w4TDlg==?= und mehr", "ÄÖ und mehr"),
        (b"=?utf-8?B?w4?= =?utf-8?B?hA?=", "Ä"),  # a character that two words share, without padding
        (b"=?utf-8?Q?a b?=", "a b"),  # a bare space, which is not allowed
        (b"=?iso-8859-1?Q?=8015?=", "€15"),
        (b"=?x-strange?Q?Plan?=", "Plan"),
        (b"=?utf-8*de?Q?Plan?=", "Plan"),
        ("Öffnung".encode(), "Öffnung"),
        ("Öffnung".encode("cp1252"), "Öffnung"),
        (b"Long\n and folded", "Long and folded"),
        (b"a =?b? c", "a =?b? c"),
    ],
)
def test_header_words_are_decoded_broken_ones_too(subject: bytes, title: str) -> None:
    assert title_of(b"From: a@x.org\nSubject: " + subject + b"\n\nText.\n", "1.eml") == title


@pytest.mark.parametrize(
    ("charset", "content", "text"),
    [
        ("us-ascii", "Kranführer".encode(), "Kranführer"),
        ("iso-8859-1", "€15 – driver’s".encode("cp1252"), "€15 – driver’s"),
        ("gb2312", "朱镕基与喆哥".encode("gb18030"), "朱镕基与喆哥"),
        ("x-unknown-8", "Zürich prüft die Öffnung".encode("cp1252"), "Zürich prüft die Öffnung"),
        ("iso-2022-jp", "会議の予定".encode("iso-2022-jp"), "会議の予定"),
        ("utf-16", "Quay".encode("utf-16"), "Quay"),
        ("shift_jis", "①会議髙橋".encode("cp932"), "①会議髙橋"),
        ("ks_c_5601-1987", "한국어".encode("cp949"), "한국어"),
        ("utf-8", "\ufeffQuay".encode(), "Quay"),
    ],
)
def test_text_is_read_in_the_charset_that_it_has(charset: str, content: bytes, text: str) -> None:
    head = HEAD + f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: ".encode()
    if charset != "utf-16":
        assert text_of(parsed(head + b"8bit\n\n" + content, "1.eml")) == text
    assert text_of(parsed(head + b"base64\n\n" + base64.encodebytes(content), "1.eml")) == text


@pytest.mark.parametrize(
    ("coding", "body", "text"),
    [
        (b"quoted-printable", b"A soft=\n break, caf=C3=A9.", "A soft break, café."),
        (b"BASE64", b"QmVydGgg\n!!Ngo=\n", "Berth 6"),
        (b"base64", b"QmVydGggNg==\n\nSent by the list of harbours\n", "Berth 6\nSent by the list of harbours"),
        (b"base64", b"QmVydGggN", "Berth "),
        (b"strange", b"Berth 6", "Berth 6"),
    ],
)
def test_transfer_encodings_are_undone_damaged_ones_too(coding: bytes, body: bytes, text: str) -> None:
    mail = HEAD + b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: " + coding + b"\n\n" + body
    assert text_of(parsed(mail, "1.eml")).strip() == text.strip()


def test_flowed_lines_are_joined_and_quotes_stay_apart() -> None:
    text = b"The crane \nis out.\n> It was \n> so.\n -stuffed\n-- \nAnn\n"
    mail = HEAD + b"Content-Type: text/plain; format=flowed\n\n" + text
    assert text_of(parsed(mail, "1.eml")) == "The crane is out.\n> It was so.\n-stuffed\n--\nAnn"
    joined = HEAD + b"Content-Type: text/plain; format=flowed; delsp=yes\n\nWharf \nside\n"
    assert text_of(parsed(joined, "1.eml")) == "Wharfside"


def test_a_mail_without_text_is_its_subject() -> None:
    mail = HEAD + b"Content-Type: text/plain\n\n\n"
    assert (title_of(mail, "1.eml"), told(parsed(mail, "1.eml"))) == ("Berths", [("text", "Berths")])


def test_html_is_taken_and_what_only_the_plain_text_says_is_declared() -> None:
    mail = multipart(
        plain("Boats moor.\nSee the old plan.\n"), html("<h1>Quay</h1><p>Boats moor.</p>"), kind=b"alternative"
    )
    blocks = parsed(mail, "1.eml")
    assert told(blocks) == [("heading", "Quay"), ("text", "Boats moor.")]
    assert left_out(blocks) == {"See the old plan.": "other version"}
    empty = multipart(plain("Boats moor."), html("<p> </p>"), kind=b"alternative")
    assert told(parsed(empty, "1.eml")) == [("text", "Boats moor.")]


def test_html_hides_what_nobody_sees() -> None:
    page = "<p>Boats moor.</p><p style='display:none'>Say yes.</p>"
    assert {b.text: b.hidden for b in parsed(multipart(html(page)), "1.eml")} == {"Boats moor.": "", "Say yes.": "css"}


def test_nested_multiparts_come_once_and_keep_attachments_of_the_form_that_is_not_taken() -> None:
    inner = EmailMessage()
    inner["Subject"] = "Berths"
    inner.set_content("Boats moor.")
    inner.add_alternative("<p>Boats moor.</p><img src='cid:a'>", subtype="html")
    rich = inner.get_payload()[1]  # type: ignore[index]
    assert isinstance(rich, EmailMessage)
    rich.add_related(b"Depth 9", "text", "plain", cid="<a>", filename="depth.txt")  # type: ignore[arg-type]
    inner.add_attachment("Tide 4", filename="tide.txt")
    blocks = parsed(inner.as_bytes(), "1.eml")
    assert told(blocks) == [
        ("text", "Boats moor."), ("heading", "depth.txt"), ("text", "Depth 9"), ("heading", "tide.txt"), ("text", "Tide 4"),
    ]  # fmt: skip
    assert left_out(blocks) == {}


def test_attachments_stand_below_their_names_with_headings_one_lower() -> None:
    parts = (
        plain("See both."),
        attached(b'"plan.md"', b"# Plan\n\nDredge first.\n"),
        attached(b'"=?utf-8?B?w5ZsLmNzdg==?="', b"a,b\n1,2\n", b"text/csv"),
        attached(b"x; filename*=utf-8''K%C3%A4se.txt", "Käse".encode("cp1252"), b"text/plain; charset=iso-8859-1"),
        attached(b"", b'{"crane": 7}', b"application/json"),
    )
    blocks = parsed(multipart(*parts), "1.eml")
    assert [(b.kind, b.level, b.text) for b in blocks] == [
        ("text", 0, "See both."), ("heading", 1, "plan.md"), ("heading", 2, "Plan"), ("text", 0, "Dredge first."),
        ("heading", 1, "Öl.csv"), ("table", 0, "| a | b |\n| --- | --- |\n| 1 | 2 |"), ("heading", 1, "Käse.txt"),
        ("text", 0, "Käse"), ("text", 0, "crane: 7"),
    ]  # fmt: skip


def test_a_damaged_attachment_is_declared_and_the_rest_is_kept() -> None:
    mail = multipart(plain("See it."), attached(b"a.docx", b"PK\x03\x04damaged"), attached(b"b.bin", b"\x00\x01" * 900))
    blocks = parsed(mail, "1.eml")
    assert told(blocks) == [("text", "See it."), ("heading", "a.docx"), ("heading", "b.bin")]
    assert list(left_out(blocks).values()) == ["unreadable part"] * 2


def test_a_picture_in_the_text_gives_its_name() -> None:
    picture = b"Content-Type: image/png; name=berth-plan.png\nContent-ID: <a>\nContent-Transfer-Encoding: base64\n\nH4sIAAAA\n"
    blocks = parsed(multipart(html("<p>See <img src='cid:a'></p>"), picture, kind=b"related"), "1.eml")
    assert told(blocks) == [("text", "See"), ("text", "berth-plan.png")]


def test_attached_and_bounced_mail_stands_below_its_subject() -> None:
    bounced = b"Content-Type: message/rfc822\n\nFrom: jan@x.org\nSubject: Order 55\n\nDeliver 12 fenders.\n"
    status = (
        b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.x.org\n\nFinal-Recipient: rfc822; eva@x.org\n"
    )
    heads = b"Content-Type: text/rfc822-headers\n\nSubject: =?utf-8?Q?=C3=96l?=\nTo: eva@x.org\n"
    blocks = parsed(multipart(plain("Not delivered."), status, bounced, heads, kind=b"report"), "1.eml")
    assert told(blocks) == [
        ("text", "Not delivered."), ("text", "Reporting-MTA: dns; mx.x.org"), ("text", "Final-Recipient: rfc822; eva@x.org"),
        ("text", "Subject: Öl\nTo: eva@x.org"), ("heading", "Order 55"), ("text", "Deliver 12 fenders."),
    ]  # fmt: skip


def test_encoded_digests_partial_and_external_mail_is_read() -> None:
    inner = b"From: jan@x.org\nSubject: Order 55\n\nDeliver 12 fenders.\n"
    encoded = b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(inner)
    wanted = [("heading", "Order 55"), ("text", "Deliver 12 fenders.")]
    assert told(parsed(multipart(encoded), "1.eml")) == wanted
    assert told(parsed(multipart(b"\n" + inner, kind=b"digest"), "1.eml")) == wanted
    first = b"Content-Type: message/partial; number=1; total=2; id=a\n\n" + inner
    second = b"Content-Type: message/partial; number=2; total=2; id=a\n\nAnd 3 ropes.\n"
    assert told(parsed(multipart(first, second), "1.eml")) == [("text", "And 3 ropes."), *wanted]
    outside = (
        b"Content-Type: message/external-body; access-type=URL; url=x.org/plan\n\nContent-Type: text/plain\n\nPlan.\n"
    )
    assert "url: x.org/plan" in text_of(parsed(multipart(outside), "1.eml"))


def test_a_mailbox_gives_each_mail_below_its_subject() -> None:
    box = b"From a@x.org Mon Mar  2 10:00:00 2026\nSubject: One\n\n>From here.\n\n"
    box += b"From b@x.org Tue Mar  3 10:00:00 2026\nSubject: Two\n\nThere.\n"
    assert told(parsed(box, "all.mail")) == [
        ("heading", "One"),
        ("text", "From here."),
        ("heading", "Two"),
        ("text", "There."),
    ]
    assert title_of(box.split(b"\n\nFrom b")[0], "one.mail") == "One"


@pytest.mark.parametrize(
    "mail",
    [
        HEAD.replace(b"MIME-Version: 1.0\n", b"") + b"Content-Type: multipart/mixed; boundary=B\n\n--B\n\nBerth 6.\n",  # no end
        HEAD + b"Content-Type: multipart/mixed; boundary=B\n\nBerth 6.\n",  # no boundary
        HEAD + b"Content-Type: multipart/mixed\n\nBerth 6.\n",
        HEAD + b"Content-Type: ;;;\n\nBerth 6.\n",
        HEAD + b"Content-Type: text/plain; charset=\"\n\nBerth 6.\n",
        b"\n\n" + HEAD + b"\nBerth 6.\n",
        ("\ufeff" + HEAD.decode() + "\nBerth 6.\n").encode("utf-16"),
        (HEAD + b"\nBerth 6.\n").replace(b"\n", b"\r\n"),
        HEAD + "Content-Type: text/plain; name=Übersicht\n\nBerth 6.\n".encode("latin-1"),
    ],
)  # fmt: skip
def test_mail_that_breaks_the_rules_is_read(mail: bytes) -> None:
    assert "Berth 6." in text_of(parsed(mail, "1.eml"))


def test_what_stands_around_the_parts_is_declared() -> None:
    mail = multipart(plain("Text.")).replace(b"--B\n", b"Use a newer program.\n--B\n", 1) + b"Added later.\n"
    assert left_out(parsed(mail, "1.eml")) == {"Use a newer program.": "other version", "Added later.": "other version"}


def test_signatures_are_no_text() -> None:
    signature = attached(b"smime.p7s", b"\x30\x82\x01\x00certificate", b"application/pkcs7-signature")
    pgp = (
        b"Content-Type: application/pgp-signature\n\n-----BEGIN PGP SIGNATURE-----\niQEz\n-----END PGP SIGNATURE-----\n"
    )
    blocks = parsed(multipart(plain("Signed."), signature, pgp, kind=b"signed"), "1.eml")
    assert told(blocks) == [("text", "Signed.")]
    assert left_out(blocks) == {"smime.p7s": "signature", "application/pgp-signature": "signature"}
    clear = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nWe agree.\n- -- \nAnn\n"
        "-----BEGIN PGP SIGNATURE-----\n\niQEzBAEB\n-----END PGP SIGNATURE-----\n"
    )
    blocks = parsed(HEAD + b"\n" + clear.encode(), "1.eml")
    assert text_of(blocks) == "We agree.\n--\nAnn"
    assert set(left_out(blocks).values()) == {"signature"}


def der(tag: int, *parts: bytes, indefinite: bool = False) -> bytes:
    content = b"".join(parts)
    if indefinite:
        return bytes([tag, 0x80]) + content + b"\0\0"
    size = len(content)
    return bytes([tag]) + (bytes([size]) if size < 128 else b"\x82" + struct.pack(">H", size)) + content


@pytest.mark.parametrize("indefinite", [False, True])
def test_an_opaque_signed_mail_gives_what_it_holds(indefinite: bool) -> None:
    inside = b"Content-Type: text/plain; charset=utf-8\n\nWe order " + b"very " * 60 + b"12 fenders.\n"
    octets = der(0x24, der(4, inside[:50]), der(4, inside[50:]), indefinite=True) if indefinite else der(4, inside)
    data = der(0x30, der(6, bytes.fromhex("2a864886f70d010701")), der(0xA0, octets, indefinite=indefinite))
    signed = der(0x30, der(2, b"\1"), der(0x31), data, der(0x31))
    message = der(0x30, der(6, bytes.fromhex("2a864886f70d010702")), der(0xA0, signed), indefinite=indefinite)
    head = (
        HEAD
        + b"Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\nContent-Transfer-Encoding: base64\n\n"
    )
    assert text_of(parsed(head + base64.encodebytes(message), "1.eml")).endswith("very 12 fenders.")
    closed = der(0x30, der(6, bytes.fromhex("2a864886f70d010703")), der(0xA0, der(0x30)))
    blocks = parsed(head + base64.encodebytes(closed), "1.eml")
    assert left_out(blocks) == {"smime.p7m: it is encrypted; decrypt it at its source": "unreadable part"}
    assert left_out(parsed(head + base64.encodebytes(message[:90]), "1.eml"))


CALENDAR = """BEGIN:VCALENDAR
METHOD:REQUEST
BEGIN:VTIMEZONE
TZID:Europe/Riga
END:VTIMEZONE
BEGIN:VEVENT
DTSTART;TZID="Europe/Riga":20260302T140000
DTEND:20260302T130000Z
SUMMARY:Berth meeting\\, again
LOCATION:Shed 4
ORGANIZER;CN="Eva: Kalnina":MAILTO:eva@x.org
ATTENDEE;PARTSTAT=ACCEPTED;CN=Jan:mailto:jan@x.org
DESCRIPTION:Bring the plan.\\nAnd the key to th
 e gate.
BEGIN:VALARM
DESCRIPTION:Reminder
END:VALARM
END:VEVENT
END:VCALENDAR
"""
ENTRY = (
    "Summary: Berth meeting, again\nStart: 2026-03-02 14:00 Europe/Riga\nEnd: 2026-03-02 13:00 UTC\nLocation: Shed 4\n"
    "Organizer: Eva: Kalnina <eva@x.org>\nAttendee: Jan <jan@x.org>\nDescription: Bring the plan.\nAnd the key to the gate."
)


def test_an_invitation_says_what_when_where_and_who_and_comes_once() -> None:
    calendar = b"Content-Type: text/calendar; charset=utf-8; method=REQUEST\n\n" + CALENDAR.encode()
    again = attached(b"invite.ics", CALENDAR.replace("\n", "\r\n").encode(), b"application/ics")
    body = multipart(plain("Please come."), html("<p>Please come.</p>"), calendar, again, kind=b"alternative")
    assert told(parsed(body, "1.eml")) == [("text", "Please come."), ("text", ENTRY)]
    assert told(parsed(HEAD + calendar, "1.eml")) == [("text", ENTRY)]


QUOTED_PLAIN = [
    ("I agree.\n\nOn Monday, 2 March 2026, Ann wrote:\n> Shall we?\n> Today?\n", "I agree.", "> Today?"),
    ("I agree.\n\nOn Mon, 2 March 2026 at 10:00, Ann Long-Name\n<ann@x.org> wrote:\n\n> Shall we?\n", "I agree.", "Ann Long-Name"),
    ("> Shall we?\nI agree.\n> And Eva?\nNo.\n", "I agree.\nNo.", "And Eva?"),
    ("I agree.\n\n-----Original Message-----\nFrom: Ann\nSent: Monday\nTo: Bob\nSubject: x\n\nShall we?\n", "I agree.", "Shall we?"),
    ("Ja.\n\n-----Ursprüngliche Nachricht-----\nVon: Ann\n\nGehen wir?\n", "Ja.", "Gehen wir?"),
    ("I agree.\n\n________________________________\nFrom: Ann <a@x.org>\nSent: Monday\nTo: Bob\nSubject: x\n\nShall we?\n", "I agree.", "Shall we?"),
    ("Ja.\n\nAm 2. März 2026 um 10:00 schrieb Ann <ann@x.org>:\n\n> Gehen wir?\n", "Ja.", "schrieb"),
    ("Oui.\n\nLe lun. 2 mars 2026 à 10:00, Ann <a@x.org> a écrit :\n\n> On y va ?\n", "Oui.", "a écrit"),
    ("I agree.\n\nOn 2 March 2026 Ann wrote:\n\nShall we?\n", "I agree.", "Shall we?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "own", "quoted"), QUOTED_PLAIN)
def test_quoted_replies_are_loaded_or_left_out(text: str, own: str, quoted: str) -> None:
    mail = HEAD + b"Content-Type: text/plain; charset=utf-8\n\n" + text.encode()
    assert quoted in text_of(parsed(mail, "1.eml"))
    blocks = parsed(mail, "1.eml", OWN)
    assert text_of(blocks) == own
    assert quoted in "\n".join(left_out(blocks))
    assert set(left_out(blocks).values()) == {"quoted reply"}
    assert not lost_words(mail, "1.eml", OWN)


@pytest.mark.parametrize(
    "quote",
    [
        "<div class='gmail_quote'><div class='gmail_attr'>On Monday Ann wrote:</div><blockquote>Shall we?</blockquote></div>",
        "<div class='moz-cite-prefix'>Ann wrote:</div><blockquote type='cite'><p>Shall we?</p></blockquote>",
        "<hr id='stopSpelling'><div>Shall we?</div>",
        "<div id='divRplyFwdMsg'><b>From:</b> Ann</div><div>Shall we?</div>",
        "<div style='border:none;border-top:solid #E1E1E1 1.0pt'><p><b>From:</b> Ann</p></div><p>Shall we?</p>",
        "<p>-----Original Message-----<br>From: Ann</p><p>Shall we?</p>",
        "<p>From: Ann</p><p>Sent: Monday</p><p>To: Bob</p><p>Subject: x</p><p>Shall we?</p>",
    ],
)
def test_quoted_html_is_loaded_or_left_out(quote: str) -> None:
    mail = multipart(html(f"<p>I agree.</p>{quote}"))
    assert "Shall we?" in text_of(parsed(mail, "1.eml"))
    blocks = parsed(mail, "1.eml", OWN)
    assert text_of(blocks) == "I agree."
    assert "Shall we?" in "\n".join(left_out(blocks))
    assert not lost_words(mail, "1.eml", OWN)


def test_a_reply_below_a_quote_and_a_forwarded_mail_are_own_text() -> None:
    below = multipart(html("<blockquote type='cite'>Shall we?</blockquote><p>I agree.</p>"))
    assert text_of(parsed(below, "1.eml", OWN)) == "I agree."
    text = b"See below.\n\n-----Original Message-----\nFrom: Ann\nSubject: x\n\nShall we?\n"
    forwarded = HEAD.replace(b"Berths", b"Fwd: Berths") + b"\n" + text
    assert "Shall we?" in text_of(parsed(forwarded, "1.eml", OWN))
    assert text_of(parsed(HEAD + b"\nHe wrote:\nnothing.\n", "1.eml", OWN)) == "He wrote:\nnothing."


def test_uuencoded_files_in_a_text_are_attachments() -> None:
    import binascii

    lines = b"".join(binascii.b2a_uu(piece) for piece in (b"# Plan\n\nDredge first.", b"\n"))
    mail = HEAD + b"\nSee it.\n\nbegin 644 plan.md\n" + lines + b"`\nend\n\nBye.\n"
    assert told(parsed(mail, "1.eml")) == [
        ("text", "See it."), ("text", "Bye."), ("heading", "plan.md"), ("heading", "Plan"), ("text", "Dredge first."),
    ]  # fmt: skip


def attribute(level: int, name: int, kind: int, value: bytes) -> bytes:
    return struct.pack("<BHHI", level, name, kind, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)


def mapi_text(name: int, text: str) -> bytes:
    value = text.encode("utf-16-le") + b"\0\0"
    return struct.pack("<HHII", 0x1F, name, 1, len(value)) + value + b"\0" * (-len(value) % 4)


def winmail() -> bytes:
    body = struct.pack("<I", 1) + mapi_text(0x1000, "Boats moor at five.")
    file = struct.pack("<I", 1) + mapi_text(0x3707, "plan.md")
    return struct.pack("<IH", 0x223E9F78, 1) + b"".join(
        [
            attribute(1, 0x8004, 1, b"Berths\0"), attribute(1, 0x9003, 6, body), attribute(2, 0x9002, 6, b"\0" * 14),
            attribute(2, 0x800F, 6, b"# Plan\n\nDredge first.\n"), attribute(2, 0x9005, 6, file),
        ]
    )  # fmt: skip


def test_winmail_dat_gives_its_body_and_its_attachments() -> None:
    mail = multipart(attached(b"winmail.dat", winmail(), b"application/ms-tnef"))
    assert told(parsed(mail, "1.eml")) == [
        ("text", "Boats moor at five."), ("heading", "plan.md"), ("heading", "Plan"), ("text", "Dredge first."),
    ]  # fmt: skip
    cut = parsed(multipart(plain("Hi."), attached(b"winmail.dat", winmail()[:-20])), "1.eml")
    assert "Boats moor at five." in text_of(cut)
    assert "unreadable part" in left_out(cut).values()


def test_cases_of_real_mail(shared: Path) -> None:
    wanted = {
        "ascii-utf8": "Der Kranführer prüft die Öffnung täglich.",
        "latin1-cp1252": "The season ticket costs €480 – the driver’s allowance is €15.",
        "gb2312-gbk": "经办人朱镕基与喆哥负责审批，住宿标准为每晚四百五十元。",
        "smime-real": "We order 12 fenders for berth 6, to be delivered before 1 June.",
        "bounce": "Could not deliver.\nReporting-MTA: dns; mx.tide.example\nOrder 55\nPlease deliver 12 fenders.",
    }
    for name, text in wanted.items():
        assert text_of(parsed((shared / "words" / f"{name}.eml").read_bytes(), f"{name}.eml")) == text
    berth = (shared / "words" / "attachment-no-body.eml").read_bytes()
    assert title_of(berth, "a.eml") == "Berth plan"
    assert told(parsed(berth, "a.eml"))[:2] == [("heading", "plan.docx"), ("heading", "Lease of shed 4")]


def test_no_word_of_real_mail_is_lost_or_made_up(shared: Path) -> None:
    files = sorted((shared / "enron_acl" / "mail").glob("*.eml"))
    assert len(files) > 500
    wrong = list[str]()
    for file in files:
        content = file.read_bytes()
        if lost_words(content, file.name, OWN) or invented_words(content, file.name):
            wrong.append(file.name)
    assert wrong == []


WORDS = st.text("abcdefghijklmnopqrstuvwxyzäöß", min_size=1, max_size=8)
TEXTS = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)
CODINGS = st.sampled_from(["base64", "quoted-printable", "8bit"])


@settings(max_examples=40, deadline=None)
@given(
    TEXTS, st.lists(st.tuples(st.sampled_from(["text", "html", "file", "mail", "both"]), TEXTS, CODINGS), max_size=4)
)
def test_every_word_of_a_mail_is_there_in_order(first: str, parts: list[tuple[str, str, str]]) -> None:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@x.org", "Berths"
    mail.set_content(first, cte="base64")
    mail.make_mixed()
    bodies, files = [first], list[str]()
    for sort, text, cte in parts:
        part = EmailMessage()
        if sort in ("text", "both"):
            part.set_content(text, cte=cte)
        if sort == "html":
            part.set_content(f"<p>{text}</p>", subtype="html", cte=cte)
        if sort == "both":
            part.add_alternative(f"<div>{text}</div>", subtype="html", cte=cte)
        if sort == "file":
            part.set_content(text, cte=cte, disposition="attachment", filename="a.txt")
        if sort == "mail":
            inner = EmailMessage()
            inner["Subject"] = "Inner"
            inner.set_content(text, cte="base64")
            part.set_content(inner)
        mail.attach(part)
        files.append({"file": f"a.txt {text}", "mail": f"Inner {text}"}.get(sort, ""))
        bodies.append("" if sort in ("file", "mail") else text)
    blocks = parsed(mail.as_bytes(), "1.eml")
    assert text_of(blocks).split() == " ".join(bodies + files).split()
    assert left_out(blocks) == {}


@pytest.mark.parametrize(
    ("charset", "text"), [("euc-cn", "朱镕基"), ("gb_2312", "镕"), ("sjis", "①髙"), ("windows-949", "똠")]
)
def test_other_names_of_a_charset_mean_its_wider_form_too(charset: str, text: str) -> None:
    codec = {"e": "gb18030", "g": "gb18030", "s": "cp932", "w": "cp949"}[charset[0]]
    assert decoded(f"An: {text}".encode(codec), charset) == f"An: {text}"
