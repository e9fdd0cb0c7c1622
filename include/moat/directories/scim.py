"""Groups of a SCIM 2.0 service (RFC 7643, RFC 7644), such as Okta, Entra or Keycloak."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from moat.connections import Connection
from moat.declarations import declared
from moat.directories.reader import DirectoryGroup, DirectoryReading, People
from moat.errors import DirectoryUnavailable, FatalError
from moat.retry_after import answered

if TYPE_CHECKING:
    import httpx

PAGE = 200
TRIES = 4  # of one request that the service asks to repeat
TIMEOUT_S = 60.0

Resource = Mapping[str, Any]


@declared
class Scim:
    """Read every group of a SCIM service, with its people and groups.

    Inactive people are in no group. The connection has host (https://host/path of the service) and password
    (a bearer token), or login and password. Its extra takes `ca_file`, certificates to trust instead of the
    system's.

    Attributes:
        conn_id: Connection of the service.
        user: What identifies a person: `userName`, or each of their `emails`.

    Example:
        People by their mail addresses:

            Scim(conn_id="okta_scim", user="emails")
    """

    conn_id: str
    user: Literal["userName", "emails"] = "userName"

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        return [] if self.conn_id else ["conn_id is empty"]

    def read(self, reading: DirectoryReading) -> Iterator[DirectoryGroup]:
        """Yield every group of the service. Raises DirectoryUnavailable, FatalError."""
        with _opened(reading.connections.get(self.conn_id), f"directory {reading.directory}") as service:
            people = People(reading.directory)
            for user in service.every("Users"):
                # An inactive person is known but has no name, so that no asker can be them.
                names = self._names(user) if user.get("active", True) is not False else []
                people.add(user["id"], names, f"user {user['id']}")
            groups = {group["id"]: group for group in service.every("Groups")}
            for number, group in groups.items():
                # A listing may omit members, so only the group itself proves that it is empty.
                told = group if "members" in group else service.one("Groups", number)
                members: list[str] = []
                left_out = []
                for member in (told or {}).get("members") or ():
                    kind, key = _kind(member), str(member.get("value"))
                    if kind != "User" and key in groups:
                        members.append(f"group:{key}")
                    elif kind != "Group" and key in people:
                        members += people.principals(key)
                    else:
                        left_out.append(f"{kind or 'member'} {key}")
                yield DirectoryGroup(number, tuple(members), str(group.get("displayName") or ""), tuple(left_out))

    def _names(self, user: Resource) -> list[str]:
        if self.user == "userName":
            return [str(user.get("userName") or "")]
        return [str(email.get("value") or "") for email in user.get("emails") or ()]


def _kind(member: Resource) -> str:
    """Kind of a member: User, Group, or "" if unclear."""
    if member.get("type"):
        return str(member["type"]).capitalize()
    address = str(member.get("$ref") or "")
    return "User" if "Users/" in address else "Group" if "Groups/" in address else ""


@contextmanager
def _opened(connection: Connection, where: str) -> "Iterator[_Service]":
    import httpx

    if not connection.host:
        raise FatalError(
            f"{where}: connection {connection.conn_id} has no host: write https://host/path of the service"
        )
    host = connection.host if "://" in connection.host else f"{connection.schema or 'https'}://{connection.host}"
    url = httpx.URL(host.rstrip("/"))
    url = url.copy_with(port=connection.port) if connection.port else url
    login = (connection.login, connection.password) if connection.login else None
    token = {} if login else {"authorization": f"Bearer {connection.password}"} if connection.password else {}
    try:
        trusted = ssl.create_default_context(cafile=connection.extra.get("ca_file"))
    except OSError as error:
        raise FatalError(f"{where}: connection {connection.conn_id}: `ca_file` cannot be read: {error}") from error
    headers = {"accept": "application/scim+json, application/json", **token}
    with httpx.Client(base_url=url, auth=login, headers=headers, timeout=TIMEOUT_S, verify=trusted) as http:
        yield _Service(http, f"{where}: connection {connection.conn_id}")


class _Service:
    """A SCIM service, with the queries that Moat needs."""

    def __init__(self, http: "httpx.Client", where: str) -> None:
        self._http, self._where = http, where

    def every(self, kind: str) -> Iterator[Resource]:
        """Yield every resource of a kind once. Raises DirectoryUnavailable if pages are missing."""
        seen: set[str] = set()
        while True:
            page = self._get(f"/{kind}", {"startIndex": len(seen) + 1, "count": PAGE})
            resources = page.get("Resources") or []
            if not isinstance(page.get("totalResults"), int) or not isinstance(resources, list):
                raise FatalError(
                    f"{self._where}: /{kind} is no SCIM list; is the path of the service in the host right?"
                )
            for resource in resources:
                if not isinstance(resource, dict) or not resource.get("id"):
                    raise FatalError(f"{self._where}: /{kind} holds a resource without an id")
                if resource["id"] in seen:
                    raise DirectoryUnavailable(
                        f"{self._where}: /{kind} gave {resource['id']} twice, so it moved while it was read; half a listing is none"
                    )
                seen.add(resource["id"])
                yield resource
            total = page["totalResults"]
            if len(seen) >= total or not resources:
                break
        if len(seen) != total:
            raise DirectoryUnavailable(
                f"{self._where}: /{kind} says it has {total:,} and gave {len(seen):,}; half a listing is none"
            )

    def one(self, kind: str, number: str) -> Resource | None:
        """Read one resource; None if it is gone meanwhile."""
        found: Resource | None = self._get(f"/{kind}/{number}", {}, may_be_gone=True)
        return found

    def _get(self, path: str, query: Mapping[str, int], may_be_gone: bool = False) -> Any:
        import httpx

        def ask() -> httpx.Response:
            try:
                return self._http.get(path, params=dict(query))
            except httpx.TransportError as error:
                if "CERTIFICATE_VERIFY_FAILED" in str(error):
                    remedy = "set `ca_file` in its extra to the certificates to trust"
                    raise FatalError(f"{self._where}: {path}: {error}; {remedy}") from error
                raise DirectoryUnavailable(f"{self._where}: {path} did not answer: {type(error).__name__}") from error

        answer = answered(ask, f"{self._where}: {path}", tries=TRIES, error=DirectoryUnavailable)
        if answer.status_code == 404 and may_be_gone:
            return None
        if answer.status_code in (401, 403):
            remedy = "check the token in the connection's password, and what it may read"
            raise FatalError(f"{self._where}: {path} answered {answer.status_code}: {remedy}")
        if not answer.is_success:
            raise FatalError(f"{self._where}: {path} answered {answer.status_code}")
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise FatalError(f"{self._where}: {path} is no SCIM answer; is the path of the service in the host right?")
        return body
