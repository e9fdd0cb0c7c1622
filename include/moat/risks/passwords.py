"""Passwords, PINs and keys that a sentence, a table or a command tells, in the languages of Europe, Japanese, Chinese.

A word for a credential, a link to a value (`:`, `=`, "is", "lautet", は), and a value that looks like one. The
farther the value is from the word, the more it must look like one. What stands for a value (`<password>`, `****`,
`changeme`) and what prose says about one ("is required", "at least 8 characters") is none.

All patterns are bounded, so the time grows with the text and no faster.
"""

import re
from collections.abc import Iterator

from moat.risks.found import Find

LETTER = r"[^\W\d_]"
# Beginnings of words, by what they are a word for; a space may be missing, or written `_` or `-`.
# The first are found inside a compound too ("Masterpasswort"); after the bar stand those that must begin a word.
WORDS = {
    "PIN": "pincode, geheimzahl, türcode, torcode, zugangscode, alarmcode, digicode, passcode, 暗証番号, 门禁密码"
    ", tresorcode, safecode, code für den tresor, code zum tresor, code des tresors, code für den safe, code du coffre"
    "|pin, pin code, pin kode, pin nummer, pin number, nip, kod pin, code pin, door code, gate code, alarm code, access code"
    ", safe code, vault code, code of the safe, code for the safe, code to the safe, code of the vault, code of the alarm"
    ", entry code, code d'accès, código de acceso, codice di accesso, kod do drzwi",
    "KEY": "|api key, auth key, access key, account key, client key, private key, signing key, encryption key, api token"
    ", auth token, access token, service token, client token, api secret, auth secret, client secret, secret key, secret"
    ", secret access key, token, api schlüssel, clé api, clave api, chiave api",
    "PASSWORD": "password, passwd, passphrase, passwort, kennwort, losungswort, contraseña, contrasena, wachtwoord, lösenord"
    ", adgangskode, passord, salasana, şifre, парол, пароль, パスワード, 密码, 密碼, 口令"
    "|pass, pwd, pw, mdp, mot de passe, clave, parola, parola d'ordine, palavra passe, senha, hasł, hesl",
    "LOGIN": "zugangsdaten, anmeldedaten, inloggegevens, 登录, ログイン|login, logon, log in, sign in, credential, account"
    ", zugang, anmeldung, identifiant, connexion, accès, credencia, acceso, credenzial, accesso, inlog, dane logowania"
    ", inloggning, kirjautuminen, přihlášení, giriş, логин",
}
ENDS = {"pin", "nip", "pass", "pwd", "pw", "mdp", "token", "secret", "pin code", "login", "account", "clave"}
ENDS |= {"code of the safe", "code for the safe", "code to the safe", "safe code", "code für den safe"}


def _spelled(word: str) -> str:
    return re.escape(word).replace(r"\ ", "[ _-]?") + (rf"(?!{LETTER})" if word in ENDS else "")


def _words(kind: str) -> str:
    inside, alone = (part.split(", ") for part in WORDS[kind].split("|"))
    longest_first = sorted(filter(None, [*inside, *alone]), key=len, reverse=True)
    return "|".join((rf"(?<!{LETTER})" if word in alone else "") + _spelled(word) for word in longest_first)


ALL = {word for said in WORDS.values() for word in re.split(r", |\|", said) if word}
STEM = re.compile("|".join(sorted({word[:3] for word in ALL})))
WORD = re.compile("|".join(f"(?P<{kind}>{_words(kind)})" for kind in WORDS))
QUOTE = "\"'`„“”‚‘’«»「」『』"
SAID = 100  # characters after a word in which its value is looked for
SENTENCE_ENDS = re.compile(r"[\n。]|[.!?;](?=\s)")
# Right after the word, as in `password: x`, `"password": "x"`, `**Password** | x`.
SET = re.compile(rf"\w{{0,3}}[{QUOTE}\]*)]{{0,3}}\s?(?P<sign>=>|==?|->|[:：→|]|(?<=\s)[-–—](?=\s))[*|]{{0,2}}\s{{0,4}}")
LINK = re.compile(
    r"(?:(?P<to>(?<=\s)to(?=\s))|[:：](?=\s)|：|(?<=\s)[–—](?=\s)|は|是|为|為"
    rf"|(?<!{LETTER})(?:is|are|was|to|ist|sind|lautet|war|heißt|est|es|é|è|luidt|brzmi|är|er|on|je)(?!{LETTER}):?)"
    r"\s{0,3}(?:(?:now|jetzt|nun|le|la|el|het|de) )?",
    re.IGNORECASE,
)
NEXT = re.compile(rf"(?:{LETTER}{{0,5}})\s")  # with an ending: "şifresi X", "паролем X"
QUOTED = re.compile(rf"[{QUOTE}]\s?([^{QUOTE}\n]{{4,80}}?)\s?[{QUOTE}]")
CJK = "\u3000-\u9fff\uff00-\uffef"  # written without spaces, so a value ends where they begin
BARE = re.compile(rf"[{QUOTE}*|]{{0,2}}([^\s{QUOTE},;|<>{CJK}]{{4,128}})")
DIGITS = re.compile(
    rf"(\d{{4,8}}[#*A-Z]?)(?![^\W{CJK}]|[.,:/-]\d|\s?(?:mm|cm|ms|ohm|kg|v|hz|characters|digits|zeichen|years?)\b)"
)
PAIR = re.compile(
    rf"(?:[:：]|with|as|mit|als|avec|con|com|met|med)\s([\w.@-]{{2,40}})\s?/\s?([^\s{QUOTE},;|<>/]{{5,64}})"
)
BEFORE = re.compile(r"\((?:log[ -]?in|logon|zugang|accès|acceso)\)")  # "admin / admin123 (login)"
ENDING_PAIR = re.compile(r"[\w.@-] ?/ ?([^\s/()]{5,64}) ?$")
HEADER = re.compile(
    r"(?:Authorization[\"']?\s?[:=]\s?[\"']?(?:Bearer|Basic|Token)|(?<!\w)Bearer)\s([\w.~+/=-]{12,2000})", re.IGNORECASE
)
OPTION = re.compile(r"(?:\s-u|--(?:proxy-)?user)[ =][\"']?[\w.@-]{1,40}:([^\s\"'@]{5,64})")
ROW = re.compile(r"^[^\S\n]*\|[^\n]*", re.MULTILINE)

PLACEHOLDER = re.compile(
    r"^[$%<]|[(\[{]|^[*x.•#_-]+$|\.{3}|…|(?:your|(?<![a-z])my|example|sample|dummy|placeholder|redacted|change[_-]?me|xxx|\*\*\*|123456|abcdef)"
    r"|^[a-z][\w+.-]*://|^(?:arn|env|vault|secret|op):|^[/~\\]|@[\w-]+\.\w|\d{4}-\d\d-\d\d"
    r"|\.(?:com|org|net|html?|pdf|py|json|ya?ml|txt)\b|%(?:0a|[sd]\b)|&#|&(?:lt|gt|amp|quot|nbsp);?",
    re.IGNORECASE,
)
PLAIN = re.compile(r"[^\W\d_]*\d{0,4}|\d+")  # a word, a number, a word with a number
NAMED = re.compile(  # what has digits and is no password: "SHA-256", "8-digit", "Windows-11", "HR-2024-17"
    r"(?:sha|md|aes|rsa|base|utf|iso|rfc|des|tls|ssl|oauth|pbkdf|argon|wpa|windows|win|office|ipv|n?varchar2?|int|level"
    r"|version|v|type|step|page|section|room|table|figure|fig|appendix|chapter|phase|option|python|http|port|user|utf)[-_.]?\d.*"
    rf"|\d{{1,4}}[-.]?{LETTER}+\.?|.*(?:-digit|-character|-bit|-encoded|-hashed)s?",
    re.IGNORECASE,
)
REFERENCE = re.compile(rf"[A-Z]{{1,6}}(?:[-_./#v]?\d+)+(?:-?{LETTER}*)")  # also "PKCS#12", "SOCKSv5"
SIGNS = set("!@#$%&*+=?^~_")
NAMES_ONE = re.compile(
    r"[A-Z\d_]*(?:PASSWORD|PASSWD|TOKEN|SECRET|KEY)[A-Z\d_]*|(?:password|passwd|pass|secret|token)\d{0,3}"
)
DEFAULTS = {"host", "hostname", "api_token", "password", "passwd", "pass", "pwd", "secret", "token"}
DEFAULTS |= {"user", "username", "admin", "root", "test", "guest"}


def find(text: str) -> Iterator[Find]:
    """Yield every credential that a text tells in words, as place and kind."""
    low = text.replace("İ", "I").lower()  # as long as the text: no other letter becomes two
    yield from _commands(text, low)
    found = [word for stem in STEM.finditer(low) if (word := WORD.match(low, stem.start()))]
    for word in found:
        ends = SENTENCE_ENDS.search(text, word.end() + 1, word.end() + SAID)
        until = min(word.end() + SAID, len(text)) if ends is None else ends.start() + (ends[0] in ".!?")
        for start, stop, kind in _after(text, word, until):
            yield Find(start, stop, kind, 0.9)
    for said in BEFORE.finditer(low):
        at = max(0, said.start() - SAID)
        if (pair := ENDING_PAIR.search(text[at : said.start()])) and _given(pair[1]):
            yield Find(at + pair.start(1), at + pair.end(1), "PASSWORD", 0.9)
    if any(word.lastgroup == "PASSWORD" for word in found):
        yield from _columns(text)


def stands_for_one(value: str) -> bool:
    """Whether a value is none: a placeholder, or a word such as "password"."""
    return bool(PLACEHOLDER.search(value) or NAMES_ONE.fullmatch(value)) or value.strip("-_*").lower() in DEFAULTS


def _after(text: str, word: "re.Match[str]", until: int) -> Iterator[tuple[int, int, str]]:
    """Yield the values that are set, linked to or beside a word."""
    kind, end = str(word.lastgroup), word.end()
    direct = SET.match(text, end)
    if kind == "LOGIN":
        yield from ((*pair.span(2), "PASSWORD") for pair in PAIR.finditer(text, end, until) if _given(pair[2]))
        return
    if kind == "PIN":
        links = [direct] if direct else LINK.finditer(text, end, until)
        yield from ((*number.span(1), "PIN") for link in links if (number := DIGITS.match(text, link.end())))
        if word[0] != "passcode":
            return
    if direct:
        yield from _value(text, direct.end(), "key" if kind == "KEY" else "set")
    elif word[0] not in ("pass", "pwd"):
        for link in LINK.finditer(text, end, until):
            yield from _value(text, link.end(), "long" if kind == "KEY" else "changed" if link["to"] else "said")
        if beside := NEXT.match(text, end):
            yield from _value(text, beside.end(), "long" if kind == "KEY" else "beside")


def _value(text: str, at: int, how: str) -> Iterator[tuple[int, int, str]]:
    """Yield the value at a place, if it looks like one."""
    if quoted := QUOTED.match(text, at):
        value = quoted[1]
        word = how == "said" and len(value) >= 6 and value.isalpha() and not stands_for_one(value)
        phrase = how in ("said", "set") and len(value.split()) >= 4 and "phrase" in text[max(0, at - 40) : at]
        if word or phrase or (" " not in value and LOOKS[how](value)):
            yield (*quoted.span(1), "PASSWORD")
    elif bare := BARE.match(text, at):
        value = bare[1].rstrip(".)]}:、。」")
        if LOOKS[how](value):
            yield bare.start(1), bare.start(1) + len(value), "PASSWORD"


def _given(value: str) -> bool:
    """Whether a value looks like a password where one must stand: letters with digits or signs, or a long number."""
    value = value.rstrip(".)]}:,;")
    if len(value) < 5 or len(set(value)) < 4 or stands_for_one(value) or NAMED.fullmatch(value):
        return False
    if not any(c.isalpha() for c in value):
        return value.isdigit() and 6 <= len(value) <= 16
    return any(c.isdigit() for c in value) or any(c in SIGNS - {"_"} for c in value[1:-1])


def _said(value: str) -> bool:
    """Whether a value looks like a password after "is": letters and digits, and a sign or both cases."""
    if not _given(value) or REFERENCE.fullmatch(value) or not any(c.isalpha() for c in value):
        return False
    digits, signs = any(c.isdigit() for c in value), any(not c.isalnum() for c in value)
    cases = any(c.isupper() for c in value) and any(c.islower() for c in value)
    return len(value) >= 6 and digits and (signs or cases)


def _beside(value: str) -> bool:
    """Whether a value looks like a password with no more than a space between."""
    return _said(value) and any(c.isupper() for c in value) and "." not in value


def _key(value: str) -> bool:
    """Whether letters, digits and signs are mixed as in no word and no number."""
    if len(value) < 8 or not any(c.isalpha() for c in value) or len(set(value)) < 5 or stands_for_one(value):
        return False
    return not all(PLAIN.fullmatch(part) for part in re.split(r"[-_/.:]", value))


def _long(value: str) -> bool:
    """Whether a value looks like a generated key: long, of letters and several digits."""
    return len(value) >= 16 and sum(c.isdigit() for c in value) >= 4 and value.isascii() and _key(value)


LOOKS = {"set": _given, "said": _said, "changed": _said, "beside": _beside, "key": _key, "long": _long}


def _commands(text: str, low: str) -> Iterator[Find]:
    """Find what the header of a request or the option of a command carries."""
    if "bearer" in low or "authorization" in low:
        for match in HEADER.finditer(text):
            if _long(match[1]) or match[1].endswith("="):
                yield Find(*match.span(1), "AUTHORIZATION", 0.95)
    if " -u" in low or "-user" in low:
        for match in OPTION.finditer(text):
            if _given(match[1]):
                yield Find(*match.span(1), "PASSWORD", 0.95)


def _columns(text: str) -> Iterator[Find]:
    """Find the values in a table's columns of passwords."""
    columns, after = list[int](), -2
    for row in ROW.finditer(text):
        cells = list(re.finditer(r"(?<=\|)[^|\n]*", row[0]))
        if row.start() != after + 1:  # the first row of a table
            columns = [at for at, cell in enumerate(cells) if _is_heading(cell[0])]
        else:
            for cell in (cells[at] for at in columns if at < len(cells)):
                value = cell[0].strip()
                if value and " " not in value and _given(value):
                    start = row.start() + cell.start() + cell[0].index(value)
                    yield Find(start, start + len(value), "PASSWORD", 0.9)
        after = row.end()


def _is_heading(cell: str) -> bool:
    word = WORD.search(cell.lower()) if len(cell) <= 40 else None
    return word is not None and word.lastgroup == "PASSWORD"
