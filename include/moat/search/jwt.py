"""Verify JWTs: signature, issuer, audience and time, by the issuer's own public keys.

Only asymmetric signatures are accepted, because whoever can verify a symmetric one can also make it.
"""

import json
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import jwt

from moat.access.policy import canonical
from moat.errors import TokenRefused
from moat.settings import Settings

KEPT_S = 300.0  # maximum age of the issuer's keys
REFETCH_S = 30.0  # between two reads because of a key that is not known
RETRY_S = 5.0  # between two reads because they failed
PATIENCE_S = 5.0  # for one read
MOST_BYTES = 1_000_000  # of a JWKS
LONGEST = 16_384  # characters of a token
ASYMMETRIC = ("RSA", "EC", "OKP")  # key types; "oct" is a shared secret


class Jwks:
    """Public keys of a JWKS, read again when they are too old."""

    def __init__(self, where: str) -> None:
        self._where, self._lock = where, threading.Lock()
        self._kept: dict[str, dict[str, Any]] = {}
        self._read_at = self._tried_at = float("-inf")
        self._failed: TokenRefused | None = None

    def of(self, kid: str) -> dict[str, Any]:
        """Return a key by its id. Raises TokenRefused."""
        with self._lock:
            now = time.monotonic()
            old = now - self._read_at > KEPT_S
            if (old or kid not in self._kept) and now - self._tried_at > (RETRY_S if old else REFETCH_S):
                self._tried_at = now
                try:
                    self._kept, self._read_at, self._failed = self._read(), now, None
                except TokenRefused as error:
                    self._failed = error
            if time.monotonic() - self._read_at > KEPT_S:
                raise self._failed or TokenRefused(f"the keys at {self._where} are too old")
            if kid not in self._kept:
                raise TokenRefused(
                    f"no key at {self._where} has the token's kid; they were read less than 5 minutes ago"
                )
            return self._kept[kid]

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            body = json.loads(self._bytes())
            return {
                key["kid"]: key
                for key in body["keys"]
                if key.get("kty") in ASYMMETRIC and key.get("use", "sig") == "sig" and isinstance(key.get("kid"), str)
            }
        except (OSError, httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TokenRefused(
                f"the issuer's keys at {self._where} cannot be read ({type(error).__name__}): look at MOAT_JWT_JWKS"
            ) from error

    def _bytes(self) -> bytes:
        if "://" not in self._where:
            return Path(self._where).read_bytes()
        with (
            httpx.Client(timeout=PATIENCE_S, trust_env=self._where.startswith("https:")) as client,
            client.stream("GET", self._where) as answer,
        ):
            answer.raise_for_status()  # a redirect is an error, too: the setting is the only address
            end, body = time.monotonic() + PATIENCE_S, b""
            for part in answer.iter_bytes():
                body += part
                if len(body) > MOST_BYTES or time.monotonic() > end:
                    raise ValueError(f"more than {MOST_BYTES:,} bytes, or longer than {PATIENCE_S:g} s")
            return body


class Verifier:
    """Verifies the JWTs of one issuer, for one audience."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = Jwks(settings.jwt_jwks)
        self._algorithms = [name.strip() for name in settings.jwt_algorithms.split(",")]

    def person(self, token: str) -> str:
        """Return the canonical `user:ID` that a JWT proves. Raises TokenRefused, never quoting the JWT."""
        missing = [
            f"MOAT_{name.upper()}"
            for name in ("jwt_issuer", "jwt_audience", "jwt_jwks")
            if not getattr(self._settings, name)
        ]
        if missing:
            raise TokenRefused(f"no JWT is taken here: set {', '.join(missing)}")
        if not isinstance(token, str) or not 0 < len(token) <= LONGEST:
            raise TokenRefused(f"the token is no text of 1 to {LONGEST:,} characters")
        claims = self._verified(token)
        name = self._settings.jwt_claim
        value = claims.get(name)
        if not isinstance(value, str) or not value:
            raise TokenRefused(f"the token has no claim {name!r} that is a text: look at MOAT_JWT_CLAIM")
        if name == "email" and claims.get("email_verified") is not True:
            raise TokenRefused(
                "the issuer has not verified the token's email, for its claim email_verified is not true, so it proves "
                "nobody: let the issuer add that claim, or set MOAT_JWT_CLAIM to an id that it assigns"
            )
        return canonical(f"user:{value}")

    def _verified(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            algorithm, kid = header.get("alg"), header.get("kid")
            if algorithm not in self._algorithms:
                raise TokenRefused(
                    f"the token is signed by {str(algorithm)[:16]!r}: MOAT_JWT_ALGORITHMS takes {', '.join(self._algorithms)}"
                )
            if not isinstance(kid, str):
                raise TokenRefused("the token does not say by which key it is signed: its header has no kid")
            key = self._keys.of(kid)
            if key.get("alg", algorithm) != algorithm:
                raise TokenRefused(f"the token is signed by {algorithm}, its key is for {str(key['alg'])[:16]!r}")
            return jwt.decode(
                token,
                jwt.PyJWK(key, algorithm),
                algorithms=self._algorithms,
                issuer=self._settings.jwt_issuer,
                audience=self._settings.jwt_audience,
                leeway=self._settings.jwt_leeway_s,
                options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
            )
        except jwt.ExpiredSignatureError:
            raise TokenRefused("the token has expired: ask with a new one") from None
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise TokenRefused(f"the token does not hold: {type(error).__name__}: {str(error)[:200]}") from None
