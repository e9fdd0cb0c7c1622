"""Invitations of calendars (RFC 5545): what, when, where, who."""

import re
from collections.abc import Iterator

FOLD = re.compile(r"\r?\n[ \t]")
PROPERTY = re.compile(r'(?P<name>[A-Za-z0-9-]+)(?P<parameters>(?:;[^=;:]+=(?:"[^"]*"|[^";:]*)(?:,(?:"[^"]*"|[^";:,]*))*)*):(?P<value>.*)', re.DOTALL)  # fmt: skip
PARAMETER = re.compile(r';([^=;:]+)=("[^"]*"|[^";:]*)')
TOLD = {
    "SUMMARY": "Summary", "DTSTART": "Start", "DTEND": "End", "DUE": "Due", "DURATION": "Duration", "RRULE": "Repeats",
    "LOCATION": "Location", "ORGANIZER": "Organizer", "ATTENDEE": "Attendee", "STATUS": "Status", "COMMENT": "Comment",
    "CATEGORIES": "Categories", "CONTACT": "Contact", "URL": "URL", "RESOURCES": "Resources",
    "DESCRIPTION": "Description",
}  # fmt: skip
PERSONS = {"ORGANIZER", "ATTENDEE"}
TIMES = {"DTSTART", "DTEND", "DUE"}
WHEN = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d(Z?))?")
ENTRIES = {"VEVENT", "VTODO", "VJOURNAL"}


def invitations(text: str) -> list[str]:
    """Return each entry of a calendar as lines `name: value`, such as "Location: Berth 6"."""
    entries, lines, inside = list[str](), list[str](), list[str]()
    for name, parameters, value in _properties(text):
        if name == "BEGIN":
            inside.append(value.upper())
        elif name == "END":
            if inside and inside.pop() in ENTRIES and lines:
                entries.append("\n".join(sorted(lines, key=_place)))
                lines = []
        elif inside and inside[-1] in ENTRIES and name in TOLD and (told := _told(name, parameters, value)):
            lines.append(f"{TOLD[name]}: {told}")
    if lines:  # its end is missing
        entries.append("\n".join(sorted(lines, key=_place)))
    return entries


def _place(line: str) -> int:
    return list(TOLD.values()).index(line.partition(":")[0])


def _properties(text: str) -> Iterator[tuple[str, dict[str, str], str]]:
    for line in FOLD.sub("", text).splitlines():
        if found := PROPERTY.fullmatch(line.strip()):
            parameters = {name.upper(): value.strip('"') for name, value in PARAMETER.findall(found["parameters"])}
            yield found["name"].upper(), parameters, found["value"].strip()


def _told(name: str, parameters: dict[str, str], value: str) -> str:
    if name in PERSONS:
        address = re.sub("^mailto:", "", value, flags=re.IGNORECASE)
        person = parameters.get("CN", "")
        return f"{person} <{address}>" if person and person != address else address
    if name in TIMES and (when := WHEN.fullmatch(value)):
        year, month, day, hour, minute, utc = when.groups()
        zone = " UTC" if utc else f" {parameters['TZID']}" if "TZID" in parameters else ""
        return f"{year}-{month}-{day}" + (f" {hour}:{minute}{zone}" if hour else "")
    return re.sub(r"\\([\\;,nN])", lambda m: "\n" if m[1] in "nN" else m[1], value).strip()
