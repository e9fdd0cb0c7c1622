"""Airflow's roles for Moat, and its first user, for the FAB auth manager.

    python moat_people.py

Run after `airflow db migrate`; running it again adds what is missing and takes away what a role should not have.
The first user is `admin`, with the password in the file that AIRFLOW_ADMIN_PASSWORD_FILE names. It is made once: a
password that was changed in Airflow stays.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

FIRST, PASSWORD = "admin", "AIRFLOW_ADMIN_PASSWORD_FILE"
OPERATOR, APPROVER, READER = "Moat operator", "Moat approver", "Moat text reader"
# What answers under Required Actions. Of Airflow's own roles User, Op and Admin have it too.
ANSWER = ("can_edit", "HITL Detail")
# On the pages: the text of every document, and asking as somebody else. In a role of its own, to be given beside another.
TEXTS = (("can_read", "moat_read_text"), ("can_read", "moat_view_as"))
SHOWN = (("menu_access", "HITL Detail"), ("can_edit", "DAGs"))  # Airflow wants both of whoever answers


def roles(manager: Any) -> dict[str, set[tuple[str, str]]]:
    """The permissions of each role of Moat: one triggers and clears, one decides, none does both; one reads texts."""
    viewer = set(manager.VIEWER_PERMISSIONS)
    return {
        OPERATOR: (viewer | set(manager.USER_PERMISSIONS)) - {ANSWER},
        APPROVER: viewer | {ANSWER, *SHOWN},
        READER: viewer | set(TEXTS),
    }


def make(manager: Any, password: str) -> None:
    """Make the roles as they should be, and the first user if nobody is there yet."""
    manager.sync_roles()
    wanted = roles(manager)
    manager.bulk_sync_roles([{"role": name, "perms": sorted(perms)} for name, perms in wanted.items()])
    for name, perms in wanted.items():
        role = manager.find_role(name)
        for found in list(role.permissions):
            if (found.action.name, found.resource.name) not in perms:
                manager.remove_permission_from_role(role, found)
    if not manager.get_all_users():
        manager.add_user(FIRST, FIRST, FIRST, f"{FIRST}@localhost", manager.find_role("Admin"), password=password)


def main() -> None:
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    password = Path(os.environ[PASSWORD]).read_text("utf-8").strip()
    if not password:
        sys.exit(f"{PASSWORD} names an empty file")
    with get_application_builder() as appbuilder:
        make(appbuilder.sm, password)


if __name__ == "__main__":
    main()
