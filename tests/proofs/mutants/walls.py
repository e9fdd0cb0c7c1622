"""Seeded bugs of the walls around a document's parser, and of its time: (name, file, old, new, test)."""

CONFINE, PREPARE = "tests/parse/test_confine.py::test_", "tests/stages/test_prepare.py::test_"
WALLS = (
    (
        "the parser keeps its network and its sockets",
        "include/moat/parse/confine.py",
        "    if seccomp.confine(libc):\n",
        "    if False and seccomp.confine(libc):\n",
        f"{CONFINE}it_opens_no_connection_not_even_by_system_calls",
    ),
    (
        "the parser reads every file",
        "include/moat/parse/confine.py",
        "landlock.confine(libc, _readable(), [folder])",
        'landlock.confine(libc, ["/"], [folder])',
        f"{CONFINE}it_reads_no_file_but_programs_and_libraries",
    ),
    (
        "the parser is given the whole environment",
        "include/moat/parse/sandbox.py",
        'if name in KEPT or name.startswith("LC_")',
        "if name",
        f"{CONFINE}it_sees_no_secret_of_the_environment",
    ),
    (
        "the parser's limits are soft",
        "include/moat/parse/confine.py",
        "    resource.setrlimit(limit, (value, value))",
        "    resource.setrlimit(limit, (value, most))",
        f"{CONFINE}it_raises_no_limit",
    ),
    (
        "a lease is not renewed meanwhile",
        "include/moat/stages/lease.py",
        "                loads.renew(runtime.ledger, load, runtime.lease_s)\n",
        "                pass\n",
        f"{PREPARE}a_lease_is_kept_while_one_document_takes_longer_than_it",
    ),
)
