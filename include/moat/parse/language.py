"""Detect the language of a document."""

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langdetect.detector_factory import DetectorFactory

SAMPLE = 1_500  # characters that are read
FEWEST = 60  # minimum letters; with fewer, any result is a guess
SURE = 0.9  # minimum probability
WORD = re.compile(r"[^\W\d_]{2,}")


def language_of(texts: Iterable[str]) -> str:
    """ISO 639-1 code of a text's main language; "" if that is unclear."""
    from langdetect.lang_detect_exception import LangDetectException

    words, length = list[str](), 0
    for text in texts:
        found = WORD.findall(text[: 4 * SAMPLE])
        words += found
        length += sum(map(len, found))
        if length >= SAMPLE:
            break
    if length < FEWEST:
        return ""
    detector = _factory().create()
    detector.append(" ".join(words)[: SAMPLE + len(words)])
    try:
        best = detector.get_probabilities()
    except LangDetectException:
        return ""  # a script that langdetect does not know
    return str(best[0].lang).partition("-")[0] if best and best[0].prob >= SURE else ""


@cache
def _factory() -> "DetectorFactory":
    """Load the profiles of all languages once, with a fixed seed."""
    from langdetect import DetectorFactory, detector_factory

    DetectorFactory.seed = 0
    detector_factory.init_factory()
    return detector_factory._factory
