"""Numbers of a cell as its number format shows them."""

import math
import re
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

ISO = "yyyy-mm-dd"
# Formats that a file names by number alone. Where a number means "as the reader's country writes it", the order is
# year, month, day, which is right in every country.
BUILT_IN = {
    0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: '"$"#,##0;-"$"#,##0', 6: '"$"#,##0;-"$"#,##0',
    7: '"$"#,##0.00;-"$"#,##0.00', 8: '"$"#,##0.00;-"$"#,##0.00', 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?",
    13: "# ??/??", 14: ISO, 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM",
    20: "h:mm", 21: "h:mm:ss", 22: f"{ISO} h:mm", 27: ISO, 28: ISO, 29: ISO, 30: ISO, 31: ISO, 32: "h:mm", 33: "h:mm:ss",
    34: "h:mm", 35: "h:mm:ss", 36: ISO, 37: "#,##0;-#,##0", 38: "#,##0;-#,##0", 39: "#,##0.00;-#,##0.00",
    40: "#,##0.00;-#,##0.00", 41: "#,##0;-#,##0", 42: '"$"#,##0;-"$"#,##0', 43: "#,##0.00;-#,##0.00",
    44: '"$"#,##0.00;-"$"#,##0.00', 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0", 48: "##0.0E+0", 49: "@",
    50: ISO, 51: ISO, 52: ISO, 53: ISO, 54: ISO, 55: ISO, 56: ISO, 57: ISO, 58: ISO,
}  # fmt: skip
TOKEN = re.compile(
    r"""
      (?P<text>"[^"]*"?|\\.|_.|\*.)
    | (?P<bracket>\[[^\]]*\])
    | (?P<general>general)
    | (?P<noon>am/pm|a/p)
    | (?P<date>y+|m+|d+|h+|s+(?:\.0+)?|b+|g+|e(?![+-]))
    | (?P<exponent>e[+-][0#?]*)
    | (?P<digits>[0#?][0#?,]*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
CONDITION = re.compile(r"\[\s*(<=|>=|<>|<|>|=)\s*(-?[\d.]+(?:e[+-]?\d+)?)\s*\]", re.IGNORECASE)
LAST_DAY = 2_958_465  # 9999-12-31


class Token(NamedTuple):
    """A piece of a format: what it is, and how it is written."""

    kind: str
    text: str


def shown(value: float, code: str, date1904: bool = False) -> str:
    """Show a number as its format does; "" where the format shows nothing.

    What no date or format fits is shown plainly, so that a number is never lost.
    """
    if not math.isfinite(value):
        return str(value)
    try:
        section, value = _section(value, code)
        if section is None:
            return plain(value)
        return _by_section(value, section, date1904).strip()
    except (ArithmeticError, ValueError, OverflowError, InvalidOperation):
        return plain(value)


def shown_text(text: str, code: str) -> str:
    """Show a text as the last section of its format does, such as `@" pieces"`."""
    sections = _sections(code)
    last = sections[-1] if len(sections) == 4 or "@" in code else ()
    if not any(token.text == "@" for token in last):
        return "" if len(sections) == 4 and not last else text
    return "".join(text if token.text == "@" else _literal(token) for token in last)


def plain(value: float) -> str:
    """A number without a format: its fifteen sure digits, and no more."""
    text = f"{value:.15g}"
    if "e" in text:
        digits, _, power = text.partition("e")
        return f"{digits}E{int(power):+d}" if abs(int(power)) > 20 or value != int(value) else str(int(value))
    return "0" if text == "-0" else text


@lru_cache(4096)
def _sections(code: str) -> tuple[tuple[Token, ...], ...]:
    sections = list[list[Token]]([[]])
    for match in TOKEN.finditer(code):
        kind = match.lastgroup or "other"
        if kind == "other" and match[0] == ";":
            sections.append([])
        else:
            sections[-1].append(Token(kind, match[0]))
    return tuple(tuple(section) for section in sections)


def _section(value: float, code: str) -> tuple[tuple[Token, ...] | None, float]:
    """The section of a format that shows a value, and the value as that section takes it."""
    sections = [s for s in _sections(code) if not any(token.text == "@" for token in s)] or [()]
    if sections == [()]:
        return (None, value) if "@" in code or not code.strip() else ((), value)
    sections = sections[:3]
    tests = [_condition(section) for section in sections]
    if any(tests):
        for section, test in zip(sections, tests, strict=True):
            if test is None or test(value):
                return section, value if test is None else abs(value) if value < 0 and "-" not in code else value
        return None, value
    if len(sections) > 2 and value == 0:
        return sections[2], value
    if len(sections) > 1 and value < 0:
        return sections[1], -value
    return sections[0], value


def _condition(section: tuple[Token, ...]) -> "Condition | None":
    for token in section:
        if token.kind == "bracket" and (found := CONDITION.fullmatch(token.text)):
            return Condition(found[1], float(found[2]))
    return None


class Condition(NamedTuple):
    """A condition of a section, such as [>=100]."""

    sign: str
    bound: float

    def __call__(self, value: float) -> bool:
        """Whether a value meets it."""
        bound = self.bound
        match self.sign:
            case "<":
                return value < bound
            case "<=":
                return value <= bound
            case ">":
                return value > bound
            case ">=":
                return value >= bound
            case "<>":
                return value != bound
        return value == bound


def _dated(section: tuple[Token, ...]) -> bool:
    return any(token.kind == "date" or _elapsed(token) for token in section)


def _elapsed(token: Token) -> bool:
    return token.kind == "bracket" and bool(re.fullmatch(r"\[(?:h+|m+|s+)\]", token.text, re.IGNORECASE))


def _literal(token: Token) -> str:
    """What a token that is no digit and no date writes."""
    if token.kind == "text":
        if token.text[0] == '"':
            return token.text.strip('"')
        return token.text[1:] if token.text[0] == "\\" else " " if token.text[0] == "_" else ""
    if token.kind == "bracket":  # a colour, a condition, or a currency such as [$€-407]
        found = re.match(r"\[\$([^\]-]*)", token.text)
        return found[1] if found else ""
    return token.text


def _by_section(value: float, section: tuple[Token, ...], date1904: bool) -> str:
    if _dated(section):
        return _date(value, section, date1904)
    if any(token.kind == "general" for token in section):
        return "".join(plain(value) if token.kind == "general" else _literal(token) for token in section)
    if any(token.text == "/" for token in section) and any(token.kind == "digits" for token in section):
        return _fraction(value, section)
    return _number(value, section)


def _number(value: float, section: tuple[Token, ...]) -> str:
    """Digits, with thousands, decimals, percent and powers of ten."""
    point = next((i for i, token in enumerate(section) if token.text == "."), len(section))
    whole = [i for i, token in enumerate(section) if token.kind == "digits" and i < point]
    after = [i for i, token in enumerate(section) if token.kind == "digits" and i > point]
    if not whole and not after:
        return "".join(map(_literal, section))  # a format of text alone
    pattern = "".join(section[i].text for i in whole)
    decimals = "".join(section[i].text for i in after).replace(",", "")
    last = section[(after or whole)[-1]].text
    scale = len(last) - len(last.rstrip(","))
    pattern = pattern.rstrip(",")
    number = Decimal(repr(float(value))) * 100 ** sum(token.text == "%" for token in section) / 1000**scale
    exponent = next((token.text for token in section if token.kind == "exponent"), "")
    power = 0
    if exponent and number:
        step = max(1, len(re.sub("[^0#?]", "", pattern)))
        power = number.adjusted() // step * step if step > 1 else number.adjusted()
        number = number.scaleb(-power)
    number = number.quantize(Decimal(1).scaleb(-len(decimals)), rounding=ROUND_HALF_UP)
    if exponent and abs(number) >= 10 and len(pattern) == 1:
        number, power = (number / 10).quantize(Decimal(1).scaleb(-len(decimals))), power + 1
    sign = "-" if number < 0 else ""
    ones, _, tenths = f"{abs(number):f}".partition(".")
    minimum = pattern.replace(",", "").count("0")
    ones = ones.lstrip("0").zfill(minimum) if minimum or ones.strip("0") else ""
    if "," in pattern:
        ones = f"{int(ones or 0):,}".rjust(len(ones), "0") if ones else ""
    while tenths and len(decimals) >= len(tenths) and decimals[len(tenths) - 1] in "#?" and tenths.endswith("0"):
        tenths = tenths[:-1]
    return sign + _written(section, whole, after, (ones, tenths, power))


def _written(section: tuple[Token, ...], whole: list[int], after: list[int], parts: tuple[str, str, int]) -> str:
    """Write the digits in their places, and all else of the section around them."""
    ones, tenths, power = parts
    at_end = {whole[i]: section[whole[i]].text.replace(",", "") for i in range(len(whole))}
    pieces, left = dict[int, str](), ones
    for i in reversed(whole[1:]):  # digits with text between them, such as 000-0000
        size = len(at_end[i])
        pieces[i], left = left[-size:] if size else "", left[:-size] if size else left
    if whole:
        pieces[whole[0]] = left
    out = list[str]()
    for i, token in enumerate(section):
        if i in pieces:
            out.append(pieces[i])
        elif token.text == "." and (after or whole):
            out.append("." if tenths or not after else "")
        elif token.kind == "digits":
            out.append(tenths if i == after[0] else "")
        elif token.kind == "exponent":
            out.append(
                f"{token.text[0]}{'-' if power < 0 else '+' if '+' in token.text else ''}{str(abs(power)).zfill(len(token.text) - 2)}"
            )
        else:
            out.append(_literal(token))
    return "".join(out)


def _fraction(value: float, section: tuple[Token, ...]) -> str:
    """A number such as 2 1/4."""
    slash = next(i for i, token in enumerate(section) if token.text == "/")
    below = "".join(token.text for token in section[slash + 1 :] if token.kind in ("digits", "other")).strip()
    mixed = sum(token.kind == "digits" for token in section[:slash]) > 1
    number = abs(Fraction(str(value)))
    if (fixed := re.match(r"\d*[1-9]\d*", below)) is not None:
        part = Fraction(round(number * int(fixed[0])), int(fixed[0]))
        under = int(fixed[0])
    else:
        part = number.limit_denominator(10 ** max(1, len(re.findall("[0#?]", below))) - 1)
        under = part.denominator
    over = int(part * under)
    ones, over = divmod(over, under) if mixed else (0, over)
    text = f"{ones or ''} {over}/{under}".strip() if over or not mixed else str(ones)
    return ("-" if value < 0 else "") + text


def _date(value: float, section: tuple[Token, ...], date1904: bool) -> str:
    """A date or time; months and days by their English names."""
    seconds_left = next((len(t.text.partition(".")[2]) for t in section if t.kind == "date" and "." in t.text), 0)
    elapsed = any(map(_elapsed, section))
    unit = Decimal(1).scaleb(-seconds_left)
    total = (Decimal(repr(float(value))) * 86400).quantize(unit, rounding=ROUND_HALF_UP)
    if not elapsed and not 0 <= value < LAST_DAY + 1:
        return plain(value)
    days = int(total // 86400)
    base = datetime(1904, 1, 1) if date1904 else datetime(1899, 12, 31 if days < 60 else 30)
    moment = base + timedelta(days=days % LAST_DAY, seconds=int(total % 86400))
    half = any(token.kind == "noon" for token in section)
    out = list[str]()
    for i, token in enumerate(section):
        if _elapsed(token):
            per = {"h": 3600, "m": 60, "s": 1}[token.text[1].lower()]
            out.append(("-" if value < 0 else "") + str(int(abs(total) // per)).zfill(len(token.text) - 2))
        elif token.kind == "noon":
            out.append(("AM", "PM")[moment.hour >= 12][: 2 if len(token.text) == 5 else 1])
        elif token.kind == "date":
            out.append(_field(moment, token.text.lower(), (_minutes(section, i), half, f"{total % 1:f}")))
        elif token.kind == "digits" and token.text.strip("0") == "" and out and out[-1] == ".":
            out[-1] = f"{total % 1:f}"[1 : 2 + len(token.text)]
        else:
            out.append(_literal(token))
    return "".join(out)


def _field(moment: datetime, text: str, how: tuple[bool, bool, str]) -> str:
    minutes, half, rest = how
    width = min(2, len(text))
    match text[0]:
        case "y" | "e" | "b" | "g":
            return (
                f"{moment.year % 100:02}"
                if len(text) <= 2 and text[0] == "y"
                else ""
                if text[0] == "g"
                else f"{moment.year}"
            )
        case "m" if minutes:
            return str(moment.minute).zfill(width)
        case "m":
            name = MONTHS[moment.month - 1]
            return str(moment.month).zfill(width) if len(text) < 3 else {3: name[:3], 5: name[0]}.get(len(text), name)
        case "d":
            name = DAYS[moment.weekday()]
            return str(moment.day).zfill(width) if len(text) < 3 else name[:3] if len(text) == 3 else name
        case "h":
            return str((moment.hour % 12 or 12) if half else moment.hour).zfill(width)
    seconds = str(moment.second).zfill(min(2, len(text.partition(".")[0])))
    return seconds + rest[1:] if "." in text else seconds


def _minutes(section: tuple[Token, ...], at: int) -> bool:
    """Whether the m at this place is minutes: it follows hours, or seconds follow it."""

    def unit(token: Token) -> str:
        return token.text.strip("[]")[:1].lower() if token.kind == "date" or _elapsed(token) else ""

    before = next((unit(t) for t in reversed(section[:at]) if unit(t)), "")
    after = next((unit(t) for t in section[at + 1 :] if unit(t)), "")
    return len(section[at].text) <= 2 and (before == "h" or after == "s")
