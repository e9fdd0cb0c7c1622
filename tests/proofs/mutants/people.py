"""Seeded bugs of who decides, of the audit and of learned bounds: (name, file, old, new, test)."""

PEOPLE = (
    (
        "a limit that cuts nothing switches learned bounds off",
        "include/moat/ledger/measures.py",
        'return bool(options.get("limit")) and ("listed" not in counts or counts.get("waiting", 0) > 0)',
        'return bool(options.get("limit"))',
        "tests/checks/test_learned.py::test_what_a_run_asks_for_does_not_switch_learned_bounds_off",
    ),
    (
        "naming keys switches the limit of deletions off",
        "include/moat/checks/volume.py",
        "passed=share(vanished) <= most,",
        'passed=share(vanished) <= most or bool(candidate.load.options.get("only")),',
        "tests/checks/test_learned.py::test_naming_the_keys_that_vanish_does_not_switch_off_the_limit_of_deletions",
    ),
    (
        "one person is two by the other door",
        "include/moat/ledger/approvals.py",
        'return CLAIM.sub("", by).partition(":")[2].casefold() or by.casefold()',
        "return by",
        "tests/ledger/test_approvals.py::test_a_load_that_makes_documents_public_needs_two_people",
    ),
    (
        "a rejection leaves the answers before it",
        "include/moat/ledger/approvals.py",
        "            agreed = set()\n",
        "            pass\n",
        "tests/ledger/test_approvals.py::test_a_rejection_takes_the_answers_before_it_back",
    ),
    (
        "the environment names who acts",
        "include/moat/cli/shared.py",
        "account = pwd.getpwuid(uid).pw_name",
        'account = os.environ.get("LOGNAME") or pwd.getpwuid(uid).pw_name',
        "tests/cli/test_access_cli.py::test_the_account_is_who_acts_and_the_environment_only_claims",
    ),
    (
        "an anchor that does not fit is passed over",
        "include/moat/ledger/audit.py",
        "            if n in anchors and anchors[n][0] != entry.hash:\n",
        "            if n in anchors and not entry.hash:\n",
        "tests/maintenance/test_anchors.py::test_a_chain_that_was_written_anew_names_the_first_anchor_that_does_not_fit",
    ),
    (
        "an anchor replaces what is there",
        "include/moat/maintenance/anchors.py",
        "            os.link(draft, self._folder / name)",
        "            os.replace(draft, self._folder / name)",
        "tests/maintenance/test_anchors.py::test_an_anchor_is_never_written_over",
    ),
    (
        "the application may change the audit",
        "docker-compose.yaml",
        "      REVOKE UPDATE, DELETE, TRUNCATE ON audit FROM moat;\n",
        "",
        "tests/test_compose_servers.py::test_the_application_cannot_rewrite_the_audit",
    ),
    (
        "the embedder reaches Weaviate",
        "docker-compose.yaml",
        "  command: moat embedder\n  networks: [model]\n",
        "  command: moat embedder\n  networks: [model, index]\n",
        "tests/test_compose.py::test_only_those_who_need_a_server_reach_it",
    ),
    (
        "operators answer too",
        "plugins/moat_people.py",
        "(viewer | set(manager.USER_PERMISSIONS)) - {ANSWER}",
        "viewer | set(manager.USER_PERMISSIONS)",
        "tests/dags/test_people.py::test_only_approvers_answer_two_of_them_make_public_and_the_audit_names_them",
    ),
)
