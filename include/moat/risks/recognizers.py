"""The recognizers that presidio uses here, each made precise enough for running text."""

import ipaddress
import logging
import re
from collections.abc import Iterator
from typing import Any

import phonenumbers
import spacy
import tldextract
from presidio_analyzer import AnalysisExplanation, AnalyzerEngine, Pattern, RecognizerRegistry, RecognizerResult
from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer
from presidio_analyzer.nlp_engine import NlpArtifacts, SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    CryptoRecognizer,
    EmailRecognizer,
    EsNieRecognizer,
    EsNifRecognizer,
    FiPersonalIdentityCodeRecognizer,
    IbanRecognizer,
    IpRecognizer,
    ItFiscalCodeRecognizer,
    NhsRecognizer,
    PhoneRecognizer,
    PlPeselRecognizer,
    UkNinoRecognizer,
    UsSsnRecognizer,
)

from moat.risks.calling import CALLING

# Card numbers by issuer: first digits and how many there are in all.
CARDS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12})"  # Mastercard
    r"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|35\d{14}"  # American Express, Diners, JCB
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|62\d{14,17}"  # Discover, UnionPay
)
REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "PL")  # whose national numbers count after a word such as "call"
SOON = 40  # characters after such a word
BRACKETS = re.compile(r"\(\d{3}\) ?\d{3}[- ]\d{4}")
IPV6 = r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])"
NINO = r"(?-i:(?!BG|GB|NK|KN|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z])"
SUFFIXES = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=(), fallback_to_snapshot=True)  # never fetched


class Email(EmailRecognizer):
    """An address whose domain ends in a public suffix; the list comes with the package."""

    def validate_result(self, pattern_text: str) -> bool:
        if pattern_text.startswith("git@"):
            return False  # a repository's address
        return SUFFIXES.extract_str(pattern_text.rpartition("@")[2]).top_domain_under_public_suffix != ""


class Card(CreditCardRecognizer):
    """A number in an issuer's form and length, with a valid Luhn digit."""

    def validate_result(self, pattern_text: str) -> bool:
        digits = re.sub(r"[ -]", "", pattern_text)
        return bool(CARDS.fullmatch(digits)) and super().validate_result(pattern_text)


class Nhs(NhsRecognizer):
    """An NHS number: ten digits with a check digit, after such a word.

    One number in eleven passes the check by chance.
    """

    def validate_result(self, pattern_text: str) -> bool | None:  # type: ignore[override]
        return None if super().validate_result(pattern_text) else False


class Pesel(PlPeselRecognizer):
    """Eleven digits with a date and a check digit; a word before must say PESEL."""

    def validate_result(self, pattern_text: str) -> bool | None:  # type: ignore[override]
        weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)
        total = sum(int(digit) * weight for digit, weight in zip(pattern_text, weights, strict=True))
        return None if total % 10 == 0 else False


class Nif(EsNifRecognizer):
    """A Spanish identity number, after a word such as DNI or NIF.

    One number in 23 passes the check by chance.
    """

    def validate_result(self, pattern_text: str) -> bool | None:  # type: ignore[override]
        return None if super().validate_result(pattern_text) else False


class Nie(EsNieRecognizer):
    """A Spanish foreigner's number: X, Y or Z, digits, and a check letter."""

    def validate_result(self, pattern_text: str) -> bool:
        return pattern_text[0] in "XYZ" and bool(super().validate_result(pattern_text))


class Ip(IpRecognizer):
    """A public address: not private, no example, no version and no section number."""

    def invalidate_result(self, pattern_text: str) -> bool:
        try:
            address = ipaddress.ip_address(pattern_text)
        except ValueError:
            return True
        if isinstance(address, ipaddress.IPv6Address):
            return not (address.is_global and address in ipaddress.ip_network("2000::/3"))
        small = all(int(part) < 32 for part in pattern_text.split("."))  # 2.4.1.12 numbers a version or a section
        return small or not address.is_global or address.is_multicast


class Phone(PhoneRecognizer):
    """A valid phone number.

    It is in international form, in American form with brackets, or soon after a word such as "call".
    """

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        found = list(self._numbers(text, None, 0.75, 0, len(text)))
        for match in BRACKETS.finditer(text):
            found += self._numbers(text, "US", 0.6, match.start(), match.end())
        for match in CALLING.finditer(text):
            end = min(len(text), match.end() + SOON)
            numbers = (list(self._numbers(text, region, 0.6, match.end(), end)) for region in REGIONS)
            found += next(filter(None, numbers), [])
        return list(self.remove_duplicates(found))

    def _numbers(self, text: str, region: str | None, score: float, start: int, end: int) -> Iterator[RecognizerResult]:
        """Yield a region's valid numbers; without a region, those that begin with +."""
        for match in phonenumbers.PhoneNumberMatcher(text[start:end], region, leniency=phonenumbers.Leniency.VALID):
            at = start + match.start, start + match.end
            if not _part_of_more(text, *at):
                known = {RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id}
                yield RecognizerResult("PHONE_NUMBER", *at, score, AnalysisExplanation("Phone", score), known)


def _part_of_more(text: str, start: int, end: int) -> bool:
    """Whether adjacent letters, digits or signs make it part of something else."""
    around = text[max(0, start - 1) : start] + text[end : end + 1]
    return any(c.isalnum() or c in "_$€£%#=/" for c in around)


class Blank(SpacyNlpEngine):
    """spaCy's tokenizer only: a blank model, whose lemmas are the words in lower case."""

    def __init__(self) -> None:
        super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])

    def load(self) -> None:
        self.nlp = {"en": spacy.blank("en")}  # type: ignore[assignment]

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        tokens = self.get_nlp(language)(text)
        for token in tokens:
            token.lemma_ = token.lower_
        return self._doc_to_nlp_artifact(tokens, language)


def engine() -> AnalyzerEngine:
    """Build presidio with these recognizers and no others."""
    logging.getLogger("presidio-analyzer").setLevel(logging.WARNING)  # its log quotes text of documents
    ssn = [
        Pattern("hyphens", r"(?<![\w-])(?!9)\d{3}-\d{2}-\d{4}(?![\w-])", 0.5),
        Pattern("spaces", r"(?<![\w-])(?!9)\d{3} \d{2} \d{4}(?![\w-])", 0.2),
        Pattern("digits", r"(?<![\w-])(?!9)\d{9}(?![\w-])", 0.2),
    ]
    nino = [
        Pattern("spaced", rf"(?<![\w-]){NINO} \d\d \d\d \d\d (?-i:[A-D])(?![\w-])", 0.5),
        Pattern("close", rf"(?<![\w-]){NINO}\d{{6}}(?-i:[A-D])(?![\w-])", 0.2),  # could be any part number
    ]
    nhs = [Pattern("ten digits", r"(?<![\w-])\d{3}[- ]?\d{3}[- ]?\d{4}(?![\w-])", 0.3)]
    pesel = [Pattern("eleven digits", r"(?<![\w-])" + PlPeselRecognizer.PATTERNS[0].regex + r"(?![\w-])", 0.3)]
    nif = [Pattern("digits and letter", r"(?<![\w-])\d{7,8}-?[A-Z](?![\w-])", 0.3)]
    nie = [Pattern("letter, digits, letter", r"(?<![\w-])[XYZ]\d{7}-?[A-Z](?![\w-])", 0.3)]
    made: list[Any] = [
        Email(),
        Card(patterns=[Pattern("groups of digits", r"(?<![\w-])\d(?:[ -]?\d){11,18}(?![\w-])", 0.3)]),
        IbanRecognizer(),
        Phone(context=[""]),
        UsSsnRecognizer(patterns=ssn),
        Nhs(patterns=nhs),
        UkNinoRecognizer(patterns=nino, context=["nino", "insurance"]),
        Ip(patterns=[IpRecognizer.PATTERNS[0], Pattern("IPv6", IPV6, 0.6)]),
        CryptoRecognizer(),
        ItFiscalCodeRecognizer(supported_language="en"),
        FiPersonalIdentityCodeRecognizer(supported_language="en"),
        Pesel(patterns=pesel, supported_language="en"),
        Nif(patterns=nif, context=["dni", "nif", "identificación"], supported_language="en"),
        Nie(patterns=nie, supported_language="en"),
    ]
    registry = RecognizerRegistry(recognizers=made, supported_languages=["en"])
    near = LemmaContextAwareEnhancer(context_suffix_count=2, context_matching_mode="whole_word")
    return AnalyzerEngine(registry, Blank(), context_aware_enhancer=near)
