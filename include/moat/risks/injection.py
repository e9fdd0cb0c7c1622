"""Prompt injection in a text: words that address a model instead of a reader.

Two tiers. STRONG patterns count wherever they occur, because nobody writes a chat template's token, or "ignore all your
previous instructions", to a colleague. WEAK patterns count near a second, different one, or where the text is hidden
from people anyway. Text about injection, such as this project's documentation, is found too: a person decides.
"""

import base64
import binascii
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal

from moat.parse.marks import bounded
from moat.risks.found import Find

Seen = Literal["shown", "hidden"]  # whether a person would see the text

MOST = 1_000  # maximum signs of one pattern in one text
NEAR = 600  # maximum characters between two weak signs that count together
EARLIER = r"(?:previous|prior|preceding|earlier|foregoing|above|initial|original|existing|system)"
ORDERS = r"(?:instructions?|directions?|directives?|prompts?|guidelines?|rules|guardrails|programming|training)"
IGNORE = r"(?:ignore|disregard|forget|override|overrule|bypass|overlook)"

STRONG: dict[str, tuple[str, ...]] = {
    "INSTRUCTION_OVERRIDE": (
        rf"\b{IGNORE}\s+(?:(?:all|any)\s+(?:of\s+)?)(?:(?:the|your|these|those|my)\s+)?(?:{EARLIER}(?:\s+and\s+\w+)?\s+){{1,2}}{ORDERS}",
        rf"\b{IGNORE}\s+(?:all\s+|any\s+)?(?:of\s+)?your\s+(?:{EARLIER}\s+|safety\s+|content\s+)?{ORDERS}",
        rf"\b{IGNORE}\s+(?:all\s+)?(?:the\s+)?(?:everything|anything|all)\s+(?:that\s+(?:was|has\s+been)\s+)?(?:said\s+|written\s+|told\s+)?(?:above|before|so\s+far)\s*(?:,|\.|and|:)\s*(?:instead|you|now|output|print|respond|reply|write|say|reveal)",
        r"\bignorier(?:e|en\s+sie)\s+(?:bitte\s+)?(?:alle\s+)?(?:(?:deine|ihre|die|alle)\s+)?(?:vorherigen|bisherigen|vorigen|obigen|früheren|vorangegangenen)\s+(?:anweisungen|instruktionen|befehle|vorgaben|regeln|prompts?)",
        r"\bvergiss\s+(?:alle\s+)?(?:deine\s+|die\s+)?(?:vorherigen|bisherigen|obigen|früheren)?\s*(?:anweisungen|instruktionen|befehle)",
        r"\bignore[zr]?\s+(?:toutes\s+)?(?:les|tes|vos|ces)\s+(?:instructions|consignes|directives|règles)\s+(?:précédentes|antérieures|ci-dessus|initiales)",
        r"\boublie[zr]?\s+(?:toutes\s+)?(?:les|tes|vos)\s+(?:instructions|consignes|directives)(?:\s+précédentes)?",
        r"\b(?:ignora|ignore|ignorar|olvida|olvide|haz\s+caso\s+omiso\s+de)\s+(?:todas\s+)?(?:las|tus|sus)\s+(?:instrucciones|órdenes|indicaciones|reglas)\s+(?:anteriores|previas|de\s+arriba|iniciales)",
        r"\b(?:ignora|ignorare|ignori|dimentica)\s+(?:tutte\s+)?(?:le\s+|tue\s+)*(?:istruzioni|indicazioni|regole|direttive)\s+(?:precedenti|anteriori|di\s+cui\s+sopra|iniziali)",
        r"\b(?:ignore|ignora|esqueça|desconsidere)\s+(?:todas\s+)?(?:as\s+|suas\s+)*(?:instruções|ordens|regras|diretrizes)\s+(?:anteriores|prévias|acima|iniciais)",
        r"\b(?:negeer|vergeet)\s+(?:alle\s+)?(?:de\s+|je\s+|jouw\s+|uw\s+)?(?:vorige|eerdere|voorgaande|bovenstaande)\s+(?:instructies|opdrachten|aanwijzingen|regels)",
        r"\b(?:zignoruj|ignoruj|zapomnij|pomiń)\s+(?:wszystkie\s+)?(?:swoje\s+|twoje\s+)?(?:poprzednie|wcześniejsze|powyższe)\s+(?:instrukcje|polecenia|wytyczne|zasady)",
    ),
    "CHAT_TEMPLATE": (
        r"<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|endofprompt|start_header_id|end_header_id|eot_id|begin_of_text|fim_\w+)\|>",
        r"<<SYS>>|<</SYS>>|<(?:start|end)_of_turn>|\[/INST\]",
        r"^[ \t]*(?:\[INST\]|<s>[ \t]*\[INST\])",
        r"<\|(?:start|channel|message|return|constrain|call)\|>\s*(?:system|developer|assistant|analysis|final)?",
    ),
    "SYSTEM_PROMPT": (
        r"\b(?:reveal|print|repeat|output|show|display|disclose|leak|give\s+me|tell\s+me|recite|reproduce|return)\s+(?:\w+\s+){0,3}?(?:your|the\s+(?:full|entire|complete|hidden|secret|original|initial))\s+(?:\w+\s+)?(?:system\s+(?:prompt|message|instructions?)|initial\s+(?:prompt|instructions)|hidden\s+(?:prompt|instructions))",
        r"\b(?:new|updated|revised)\s+system\s+(?:prompt|instructions?)\s*:",
        r"\b(?:neuer|aktualisierter)\s+systemprompt\s*:|\bnouveau\s+prompt\s+système\s*:",
        r"\bgib\s+(?:deinen|den|ihren)\s+system-?prompt\s+(?:aus|preis|wieder)|\brévèle[zr]?\s+(?:ton|votre)\s+prompt\s+système",
    ),
    "ROLE_PLAY": (
        r"\byou\s+are\s+(?:now|no\s+longer)\s+(?:\w+\s+){0,3}?(?:DAN\b|jailbroken|unrestricted|unfiltered|an?\s+(?:unrestricted|unfiltered|uncensored|evil)\s+(?:AI|assistant|model|chatbot))",
        r"\b(?:enter|enable|activate|switch\s+to)\s+(?:\w+\s+)?(?:developer|god|jailbreak|DAN|unrestricted)\s+mode\b[^.\n]{0,60}\b(?:AI|assistant|model|chatbot|filter|restrictions?|guidelines)",
        r"\bpretend\s+(?:that\s+)?you\s+(?:are|have)\s+(?:an?\s+AI|no\s+(?:restrictions|rules|guidelines|filters))",
        r"\bdo\s+anything\s+now\b[^.\n]{0,80}\b(?:AI|DAN|model|assistant)",
    ),
    "TO_THE_MODEL": (
        r"\b(?:attention|note|message|instructions?|important|warning|notice)\s*(?:to|for|:)\s*(?:all\s+|any\s+|the\s+)?(?:AI|LLMs?|AI\s+(?:assistants?|agents?|models?|systems?)|language\s+models?|chat\s?bots?|summari[sz]ers?)\b\s*(?:reading|processing|that|who|:|,|-|–|—)",
        r"\bif\s+you\s+are\s+(?:an?|the)\s+(?:AI|LLM|language\s+model|AI\s+(?:assistant|agent|model)|chat\s?bot)\b[^.\n]{0,80}\b(?:must|should|please|ignore|say|reply|respond|output|include|write|rate|recommend|do\s+not)\b",
        r"\b(?:do\s+not|don't|never)\s+(?:tell|inform|mention\s+(?:this|it)\s+to|reveal\s+(?:this|it)\s+to|alert|notify)\s+(?:the\s+)?user\b[^.\n]{0,60}\b(?:this|these|instructions?|message|prompt|about)\b[^.\n]{0,40}\b(?:instructions?|prompt|hidden|AI|assistant|document\s+told)",
        r"\bas\s+an?\s+(?:AI|LLM|language\s+model)\b[^.\n]{0,40}\byou\s+(?:must|will|are\s+required\s+to)\b",
        r"\b(?:instructions?|prompt)\s+for\s+(?:the\s+)?(?:AI\s+)?(?:assistant|chat\s?bot|summari[sz]er|language\s+model)\s*:\s*\w",
    ),
    "EXFILTRATION": (
        r"!\[[^\]\n]{0,200}\]\(\s*https?://[^)\s]{1,300}[?&=/](?:\{|\[|<|%7B|\$\{)\s*[\w .:-]{1,80}(?:\}|\]|>|%7D)[^)]{0,100}\)",
        r"\b(?:append|add|insert|include|encode|embed|put)\b[^.\n]{0,120}\b(?:conversation|chat\s+history|system\s+prompt|user'?s?\s+(?:question|data|messages?|input|secrets?)|previous\s+messages?|api\s+keys?)\b[^.\n]{0,120}\b(?:to|into|in|as)\b[^.\n]{0,60}(?:https?://|\bURL\b|query\s+(?:string|parameter)|image\s+(?:link|url)|markdown\s+image)",
        r"\b(?:send|post|exfiltrate|forward|upload|transmit|leak)\b[^.\n]{0,60}\b(?:the\s+|this\s+|entire\s+|whole\s+|full\s+)*(?:conversation|chat\s+history|system\s+prompt|context\s+window)\b[^.\n]{0,80}\bto\b[^.\n]{0,40}(?:https?://|\bwebhook\b)",
    ),
    "TOOL_CALL": (
        r"<(?:tool_call|function_calls?|tool_use|tool_code|(?:antml:)?invoke|tool_response|tool_result)\b[^>]{0,100}>\s*(?:\{|<|\w+\()",
        r"\{\s*\"(?:tool_calls?|function_call)\"\s*:\s*[\[{]",
        r"\b(?:call|use|invoke|execute|run)\s+the\s+(?:\w+\s+){0,2}?(?:tool|function)\s+(?:with|to)\b[^.\n]{0,80}\b(?:without\s+(?:asking|telling|confirm\w*)|do\s+not\s+(?:ask|tell|confirm))",
    ),
}  # fmt: skip
WEAK: dict[str, tuple[str, ...]] = {
    "INSTRUCTION_OVERRIDE": (
        rf"\b{IGNORE}\s+(?:(?:all|any|the|these|those)\s+)*(?:{EARLIER}\s+)?{ORDERS}(?:\s+(?:above|before|given))?\b",
        rf"\bdo\s+not\s+follow\s+(?:the\s+|any\s+)?{EARLIER}\s+{ORDERS}",
        r"\b(?:new|real|actual|updated)\s+(?:task|instructions?|objective|goal)\s*:",
    ),
    "SYSTEM_PROMPT": (r"\bsystem\s+(?:prompt|message)\b", r"\b(?:your|the)\s+(?:initial|hidden|secret)\s+(?:prompt|instructions)\b"),
    "ROLE_PLAY": (
        r"^[ \t]*(?:system|assistant|user|human|ai)[ \t]*:[ \t]*\S",
        r"\b(?:you\s+are\s+now|from\s+now\s+on,?\s+you|act\s+as\s+(?:if|an?)\b|pretend\s+to\s+be|respond\s+only\s+(?:with|as|in))",
        r"\bdu\s+bist\s+(?:jetzt|nun|ab\s+sofort)\b|\btu\s+es\s+(?:maintenant|désormais)\b|\b(?:ahora\s+eres|a\s+partir\s+de\s+ahora\s+eres)\b",
    ),
    "TO_THE_MODEL": (
        r"\b(?:AI\s+(?:assistant|model|agent|system)|language\s+model|LLM|chat\s?bot|GPT(?:-\d)?)\b",
        r"\b(?:do\s+not|don't|never)\s+(?:tell|inform|alert|notify)\s+the\s+user\b",
        r"\b(?:always|must)\s+(?:say|answer|reply|respond|recommend|state)\b[^.\n]{0,60}[\"“']",
    ),
    "EXFILTRATION": (r"!\[[^\]\n]{0,200}\]\(\s*https?://[^)\s?]{1,300}\?[^)\s=]{1,200}=[^)\s]{0,400}\)",),
}  # fmt: skip
WORDS = {  # a text without any of these, in lower case, has nothing of the kind: most text is skipped
    "INSTRUCTION_OVERRIDE": (
        *("ignor", "disregard", "forget", "overrid", "overrul", "bypass", "overlook", "not follow", "task", "instructions"),
        *("vergiss", "oublie", "olvid", "caso omiso", "dimentica", "esque", "desconsider", "negeer", "vergeet"),
        *("zapomnij", "pomi", "objective", "goal"),
    ),
    "CHAT_TEMPLATE": ("<|", "<<", "_of_turn>", "[/inst]", "[inst]"),
    "SYSTEM_PROMPT": ("prompt", "system", "instruction"),
    "ROLE_PLAY": (
        *("you are now", "you are no longer", " mode", "pretend", "anything now", "system", "assistant", "user:", "human:"),
        *("ai:", "from now on", "act as", "respond only", "du bist", "tu es", "ahora"),
    ),
    "TO_THE_MODEL": ("ai", "llm", "language model", "chatbot", "chat bot", "gpt", "the user", "summari", "prompt", "always", "must"),
    "EXFILTRATION": ("![", "conversation", "chat history", "system prompt", "user", "messages", "api key", "context window"),
    "TOOL_CALL": ("tool", "function", "invoke"),
}  # fmt: skip
GOES_OUT = ("://", "url", "query", "image", "webhook")  # every sign of EXFILTRATION has one of these too
FLAGS = re.IGNORECASE | re.MULTILINE
STRONG_OF = {kind: tuple(re.compile(p, FLAGS) for p in patterns) for kind, patterns in STRONG.items()}
WEAK_OF = {kind: tuple(re.compile(p, FLAGS) for p in patterns) for kind, patterns in WEAK.items()}
CARRIER = {"INSTRUCTION_OVERRIDE", "EXFILTRATION"}  # one of two weak signs must ask for something by itself
ENCODED = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{24,20000}={0,2}(?![A-Za-z0-9+/=_-])")
KEPT_APART = re.compile(r"[\n|]")  # ends the line or cell of a sign


def find(text: str, seen: Seen = "shown") -> list[Find]:
    """Find every sign of an injection; its place is the whole line or table cell."""
    plain = unicodedata.normalize("NFKC", bounded(text))
    if plain != text and len(plain) != len(text):  # places would not match, so take the whole text
        return [Find(0, len(text), kind) for kind in sorted({f.kind for f in _found(plain, seen)})]
    found = list(_found(plain, seen))
    apart = [-1, *(match.start() for match in KEPT_APART.finditer(text)), len(text)] if found else []
    bounds = dict[tuple[int, int], tuple[int, int]]()
    made = list[Find]()
    for one in found:
        left, right = bisect_left(apart, one.start) - 1, bisect_left(apart, one.end)
        if (left, right) not in bounds:
            bounds[left, right] = _shown(text, apart[left] + 1, apart[right])
        made.append(Find(*bounds[left, right], one.kind))
    return made


def kinds() -> list[str]:
    """Every kind that can be found."""
    return sorted({*STRONG, "ENCODED"})


def _found(text: str, seen: Seen) -> Iterator[Find]:
    small = " ".join(text.lower().split())
    told = [kind for kind, words in WORDS.items() if any(word in small for word in words)]
    if "EXFILTRATION" in told and not any(word in small for word in GOES_OUT):
        told.remove("EXFILTRATION")
    strong = list(_matches(text, STRONG_OF, told))
    yield from strong
    sure = {f.kind for f in strong}
    weak: dict[str, list[int]] = {}
    for one in _matches(text, WEAK_OF, [kind for kind in told if kind not in sure]):
        weak.setdefault(one.kind, []).append(one.start)
    for places in weak.values():
        places.sort()
    for kind in sorted(CARRIER & set(weak)):
        for at in weak[kind]:
            if seen == "hidden" or any(_near(at, places) for other, places in weak.items() if other != kind):
                yield Find(at, at + 1, kind)
    for match in ENCODED.finditer(text):
        if (said := _decoded(match[0])) and any(_matches(said, STRONG_OF, STRONG_OF)):
            yield Find(match.start(), match.end(), "ENCODED")


def _near(at: int, places: list[int]) -> bool:
    after = bisect_left(places, at - NEAR)
    return after < len(places) and places[after] <= at + NEAR


def _matches(text: str, patterns: dict[str, tuple[re.Pattern[str], ...]], kinds: Iterable[str]) -> Iterator[Find]:
    for kind in kinds:
        for pattern in patterns.get(kind, ()):
            for match in islice(pattern.finditer(text), MOST):
                yield Find(match.start(), match.end(), kind)


def _decoded(code: str) -> str:
    """Decode base64 that holds text; otherwise empty."""
    try:
        data = base64.b64decode(code.replace("-", "+").replace("_", "/") + "=" * (-len(code) % 4), validate=True)
        said = data.decode("utf-8")
    except (binascii.Error, ValueError):
        return ""
    return said if said.isprintable() or "\n" in said else ""


def _shown(text: str, left: int, right: int) -> tuple[int, int]:
    """A line or cell without the white space around it."""
    inner = text[left:right]
    return left + len(inner) - len(inner.lstrip()), left + len(inner.rstrip())
