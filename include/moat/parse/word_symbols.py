"""Characters of the fonts Symbol and Wingdings, as Word stores them."""

# From 0x20 on, in the order of Adobe's encoding of Symbol; a space where it has no sign.
_SYMBOL = (
    " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼ "
    "                                €ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓"
    "◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪ 〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭"
)
SYMBOL = {0x20 + at: sign for at, sign in enumerate(_SYMBOL) if sign != " "}
WINGDINGS = {
    **{0x81 + at: sign for at, sign in enumerate("①②③④⑤⑥⑦⑧⑨⑩⓿❶❷❸❹❺❻❼❽❾❿")},
    **dict(zip(range(0xDF, 0xE7), "←→↑↓↖↗↙↘", strict=True)),
    **dict(zip(range(0xE7, 0xEF), "🡸🡺🡹🡻🡼🡽🡿🡾", strict=True)),
    **{0x22: "✂", 0x28: "☎", 0x2A: "✉", 0x36: "⌛", 0x3F: "✍", 0x41: "✌", 0x43: "👍", 0x44: "👎", 0x45: "☜"},
    **{0x46: "☞", 0x47: "☝", 0x48: "☟", 0x4A: "☺", 0x4B: "😐", 0x4C: "☹", 0x4E: "☠", 0x51: "✈", 0x52: "☼"},
    **{0x54: "❄", 0x58: "✠", 0x59: "✡", 0x5B: "☯", 0x6C: "●", 0x6E: "■", 0x6F: "□", 0x71: "❑", 0x73: "⬧"},
    **{0x74: "⧫", 0x75: "◆", 0x76: "❖", 0x78: "⌧", 0x80: "⓪", 0x9F: "•", 0xA1: "○", 0xA4: "◉", 0xA7: "▪"},
    **{0xA8: "☐", 0xAB: "★", 0xB2: "⟡", 0xD8: "➢", 0xF0: "⇨", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑"},
    0xE8: "➔",
}
WINGDINGS_2 = {0x4F: "✗", 0x50: "✓", 0x51: "☒", 0x52: "☑", 0x53: "☒", 0x54: "☒", 0xA3: "☐", 0x98: "•"}
FONTS = {"symbol": SYMBOL, "wingdings": WINGDINGS, "wingdings 2": WINGDINGS_2}


def symbol(code: int, font: str) -> str:
    """Return the character of a code in a font; private-use codes F000-F0FF are those of the font."""
    private = 0xF000 <= code <= 0xF0FF
    known = FONTS.get(font.strip().lower(), SYMBOL if private and not font else {})
    within = code & 0xFF if private else code
    if within in known:
        return known[within]
    return chr(code) if 0x20 <= code <= 0x10FFFF and not 0xD800 <= code < 0xE000 else ""


def mapped(text: str, font: str) -> str:
    """Map the private-use characters of a text that is set in a font."""
    if not any("\uf000" <= sign <= "\uf0ff" for sign in text):
        return text
    font = font if font.strip().lower() in FONTS else ""
    return "".join(symbol(ord(sign), font) if "\uf000" <= sign <= "\uf0ff" else sign for sign in text)
