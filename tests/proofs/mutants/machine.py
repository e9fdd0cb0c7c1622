"""Seeded bugs of what shares a machine with others: the embedder, Weaviate, the state folder. (name, file, old, new, test)."""

LIMITS, ADDRESS = "tests/embedding/test_limits.py::test_", "tests/embedding/test_address.py::test_"
ENCODER = "tests/embedding/test_encoder.py::test_"
STACK = "tests/local/test_stack.py::test_everything_starts_answers_and_ends_and_an_embedder_that_ran_already_is_used"
MACHINE = (
    (
        "a body is read whatever its length",
        "include/moat/embedding/door.py",
        "            if announced is not None and announced > most:",
        "            if announced is not None and announced > most * 1_000_000:",
        f"{LIMITS}a_text_of_many_megabytes_is_refused_before_it_is_sent_while_a_question_is_answered",
    ),
    (
        "a question waits while another request is read",
        "include/moat/embedding/server.py",
        'workers = {"bulk": ThreadPoolExecutor(1, "bulk"), "query": ThreadPoolExecutor(2, "query")}',
        'workers = dict.fromkeys(("bulk", "query"), ThreadPoolExecutor(1))',
        f"{LIMITS}a_question_is_answered_while_another_request_is_still_being_read",
    ),
    (
        "half precision is believed",
        "include/moat/embedding/encoder.py",
        "    if cosine >= LEAST_COSINE:\n        return made",
        "    if cosine >= -1.0:\n        return made",
        f"{ENCODER}where_half_precision_gives_other_vectors_the_model_runs_in_float32",
    ),
    (
        "places run on from text to text",
        "include/moat/embedding/packed.py",
        "places = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths) + self._first",
        "places = np.arange(starts[-1]) % 256 + self._first",
        f"{ENCODER}without_padding_the_vectors_are_the_models_own",
    ),
    (
        "a pass without padding has texts of one request",
        "include/moat/embedding/turns.py",
        'room = fill(jobs, 1 if self._packing == "padded" else len(jobs))',
        "room = fill(jobs, 1)",
        "tests/embedding/test_server.py::test_without_padding_the_next_requests_fill_what_one_leaves_and_the_next_client_begins",
    ),
    (
        "requests are split by number alone",
        "include/moat/embedding/limits.py",
        "len(some) == REQUEST or size + weight > REQUEST_BYTES",
        "len(some) == REQUEST",
        f"{LIMITS}every_request_of_the_client_is_within_the_bounds_and_none_is_lost",
    ),
    (
        "texts go over TCP unsealed",
        "include/moat/embedding/address.py",
        "transport: httpx.BaseTransport = SealedTransport(self.key, _plain(None))",
        "transport: httpx.BaseTransport = _plain(None)",
        f"{ADDRESS}who_got_the_port_first_is_given_neither_key_nor_texts_and_chooses_no_vector",
    ),
    (
        "an answer is as good as a request",
        "include/moat/embedding/sealed.py",
        'hmac.digest(key.encode(), f"moat embedder {direction}".encode() + salt, "sha256")',
        'hmac.digest(key.encode(), salt, "sha256")',
        "tests/embedding/test_sealed.py::test_another_key_direction_or_request_opens_nothing",
    ),
    (
        "a socket of anybody is trusted",
        "include/moat/embedding/address.py",
        "if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():",
        "if not stat.S_ISSOCK(found.st_mode):",
        f"{ADDRESS}nothing_is_sent_to_a_socket_that_another_user_may_have_made",
    ),
    (
        "Weaviate runs among everybody",
        "include/moat/local/servers.py",
        'command = [sys.executable, "-S", "-E", confined.__file__, str(port), str(grpc_port), "--", *own]',
        "command = own",
        "tests/local/test_confined.py::test_a_local_user_without_a_key_commands_no_port",
    ),
    (
        "servers write for everybody",
        "include/moat/local/servers.py",
        "            umask=0o077,",
        "            umask=0o022,",
        STACK,
    ),
    (
        "a database's words are told",
        "include/moat/foreign.py",
        "    phrases = list(dict.fromkeys(found.lower() for found in KNOWN.findall(words)))[:MOST]",
        "    phrases = [words]",
        "tests/test_foreign.py::test_an_error_is_told_by_class_code_and_what_is_known",
    ),
    (
        "an object that no search finds is written without deleting it",
        "include/moat/index/write.py",
        'index.delete([i for i, what in wrong.items() if what == "search"])',
        "index.delete([])",
        "tests/maintenance/test_reconcile.py::test_what_is_kept_and_not_found_is_counted_and_written_as_new",
    ),
    (
        "what is kept and not found counts as there",
        "include/moat/maintenance/reconcile.py",
        "            elif o.id in lost:",
        "            elif o.id in lost and False:",
        "tests/maintenance/test_reconcile.py::test_what_is_kept_and_not_found_is_counted_and_written_as_new",
    ),
    (
        "a restore takes what differs",
        "include/moat/maintenance/backup.py",
        "found := _hashes(ledger)) != made.fingerprints:",
        "found := _hashes(ledger)) != made.fingerprints and not found:",
        "tests/maintenance/test_backup.py::test_a_copy_that_was_changed_is_refused",
    ),
    (
        "the embedder's words are told",
        "include/moat/embedding/client.py",
        "reason = str(answer.status_code)",
        'reason = f"{answer.status_code} {answer.text}"',
        "tests/search/test_echo.py::test_a_question_that_the_embedder_repeats_stands_nowhere",
    ),
)
