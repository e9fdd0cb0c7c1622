"""What a JWT proves: an email only where its issuer says in so many words that it is verified."""

from pathlib import Path
from typing import Any

import pytest

from moat.errors import AccessUnknown, TokenRefused
from moat.search.jwt import Verifier
from moat.settings import Settings
from tests.issuer import Issuer

NOT_TRUE = [False, None, 0, 1, 1.0, "", "true", "True", "yes", "no", [], [True], {}, {"email": True}]


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


def test_an_email_that_is_verified_proves_a_person(issuer: Issuer, settings: Settings) -> None:
    verifier = Verifier(issuer.trusted(settings))
    assert verifier.person(issuer.token("Ann@Example.com", email_verified=True)) == "user:ann@example.com"


@pytest.mark.parametrize("claim", NOT_TRUE, ids=repr)
def test_an_email_proves_nobody_unless_its_claim_is_true(issuer: Issuer, settings: Settings, claim: Any) -> None:
    with pytest.raises(TokenRefused, match="email_verified is not true"):
        Verifier(issuer.trusted(settings)).person(issuer.token("ann@example.com", email_verified=claim))


@pytest.mark.parametrize("claim", NOT_TRUE, ids=repr)
def test_another_claim_needs_no_verified_email(issuer: Issuer, settings: Settings, claim: Any) -> None:
    verifier = Verifier(issuer.trusted(settings, jwt_claim="sub"))
    assert verifier.person(issuer.token("ann@example.com", email_verified=claim)) == "user:42"


@pytest.mark.parametrize(
    "who", ["\u212aevin@example.com", "\uff41nn@example.com", "\u0430nn@example.com", "a\ufe0fnn@x.org"]
)
def test_an_email_that_passes_for_another_proves_nobody(issuer: Issuer, settings: Settings, who: str) -> None:
    with pytest.raises(AccessUnknown):
        Verifier(issuer.trusted(settings)).person(issuer.token(who))
