"""An issuer of JWTs with real keys, whose JWKS stands in a file and behind a real HTTP server."""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from moat.settings import Settings

ISSUER, AUDIENCE = "https://login.example.com", "moat"


class Issuer:
    """Signs tokens by RS256 and ES256, and publishes what verifies them."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "jwks.json"
        self.keys: dict[str, Any] = {
            "rsa-1": rsa.generate_private_key(65537, 2048),
            "ec-1": ec.generate_private_key(ec.SECP256R1()),
        }
        self.asked, self.status = 0, 200
        self.publish()

    def publish(self, **more: Any) -> None:
        made = [
            {**json.loads(self._algorithm(kid).to_jwk(key.public_key())), "kid": kid, "use": "sig", **more}
            for kid, key in self.keys.items()
        ]
        self.file.write_text(json.dumps({"keys": made}))

    def _algorithm(self, kid: str) -> Any:
        return jwt.get_algorithm_by_name("RS256" if kid.startswith("rsa") else "ES256")

    def claims(self, who: str, **changed: Any) -> dict[str, Any]:
        """Claims that hold, but for what is changed; None takes a claim out."""
        now = int(time.time())
        known = {"email": who, "email_verified": True, "sub": "42"}
        made = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 300, **known, **changed}
        return {name: value for name, value in made.items() if value is not None}

    def token(self, who: str, kid: str = "rsa-1", key: Any = None, **changed: Any) -> str:
        algorithm = "RS256" if kid.startswith("rsa") else "ES256"
        return jwt.encode(self.claims(who, **changed), key or self.keys[kid], algorithm, headers={"kid": kid})

    def by_hand(self, who: str, header: dict[str, Any], signature: bytes = b"") -> str:
        """A token that no library would make."""
        parts = [json.dumps(part).encode() for part in (header, self.claims(who))]
        return b".".join(base64.urlsafe_b64encode(p).rstrip(b"=") for p in (*parts, signature)).decode()

    def public_pem(self, kid: str) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        made: bytes = self.keys[kid].public_key().public_bytes(serialization.Encoding.PEM, form)
        return made

    def trusted(self, settings: Settings, where: str = "", **changed: Any) -> Settings:
        given = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks": where or str(self.file)}
        return settings.model_copy(update={**given, **changed})

    @contextmanager
    def served(self) -> Iterator[str]:
        """The address of the JWKS on a server of its own; `asked` counts, `status` is what it answers."""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                self.send_response(issuer.status)
                self.end_headers()
                self.wfile.write(issuer.file.read_bytes() if issuer.status == 200 else b"down")

            def log_message(self, *_: Any) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/jwks"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
