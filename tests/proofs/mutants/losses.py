"""Seeded bugs of the guards against loss: proof of writes, the fence, staged files, the index in step. (name, file, old, new, test)."""

LOAD, STAGED = "tests/stages/test_load.py::test_", "tests/test_staging.py::test_"
IN_STEP = "tests/maintenance/test_in_step.py::test_"
LOSSES = (
    (
        "what was written is not read back",
        "include/moat/index/write.py",
        "    wrong = _wrong(index, expected)\n",
        "    wrong = dict[str, Differs]()\n",
        f"{LOAD}a_write_that_went_wrong_once_is_found_and_mended",
    ),
    (
        "a client's count is proof",
        "include/moat/stages/load.py",
        'counts["repaired"] += prove(index, objects)',
        'counts["repaired"] += 0',
        f"{LOAD}a_write_that_stays_wrong_fails_and_is_never_promoted",
    ),
    (
        "a load that lost its lease goes on",
        "include/moat/ledger/loads.py",
        "    if (row.fence, row.lease_load) != (current.fence, current.id) or state not in LIVE:",
        "    if state not in (*LIVE, 'abandoned'):",
        f"{LOAD}a_load_that_was_overtaken_writes_nothing_and_promotes_nothing",
    ),
    (
        "a checksum is not compared",
        "include/moat/staging.py",
        "            if found != expected:",
        "            if not found:",
        f"{STAGED}any_changed_byte_is_noticed",
    ),
    (
        "the checksum of the file before stays while a file is replaced",
        "include/moat/staging.py",
        '            Path(f"{full}.sha256").unlink(missing_ok=True)\n',
        "",
        f"{STAGED}a_writer_killed_while_it_replaces_a_file_leaves_none_that_is_taken_for_whole",
    ),
    (
        "a staged file that is there is whole",
        "include/moat/stages/run.py",
        "runtime.staging.whole(batch_path(",
        "runtime.staging.exists(batch_path(",
        "tests/stages/test_on_duty.py::test_a_load_taken_up_loses_no_document_and_makes_a_damaged_file_anew",
    ),
    (
        "a batch counts as prepared before its quarantine is recorded",
        "include/moat/stages/prepare.py",
        "    recipe_now = recipe_of(runtime, source)\n    put(",
        '    runtime.staging.write(batch_path(source.name, number, "aside", batch), SetAside, aside)\n'
        "    recipe_now = recipe_of(runtime, source)\n    put(",
        "tests/stages/test_on_duty.py::test_a_load_taken_up_loses_no_document_and_makes_a_damaged_file_anew",
    ),
    (
        "who was overtaken is told of a missing file",
        "include/moat/runtime.py",
        "                told_if_overtaken(runtime.ledger, load),\n",
        "",
        "tests/stages/test_prepare.py::test_a_run_whose_files_the_next_one_removed_is_told_that_it_was_overtaken",
    ),
    (
        "a run with nothing to do believes the index",
        "include/moat/maintenance/in_step.py",
        "    if not again and _alike(runtime, index, load.source):",
        "    if not again:",
        f"{IN_STEP}a_run_with_nothing_to_do_writes_again_what_the_index_lost",
    ),
    (
        "a load goes into an empty collection",
        "include/moat/stages/load.py",
        "        keep_in_step(runtime, index, current)\n",
        "",
        f"{IN_STEP}a_collection_that_is_gone_is_filled_again_before_a_load_counts",
    ),
    (
        "a start of Weaviate is not seen",
        "include/moat/maintenance/in_step.py",
        "    again = bool(started) and started != index_starts.known(ledger, load.source)\n",
        "    again = False\n",
        f"{IN_STEP}after_a_start_of_weaviate_all_is_compared_and_what_no_search_finds_is_written_again",
    ),
    (
        "a start in the middle of a load is not seen",
        "include/moat/stages/load.py",
        "        if started_again(runtime, index, current):",
        "        if False and started_again(runtime, index, current):",
        f"{IN_STEP}a_start_in_the_middle_of_a_load_has_all_of_it_proved_again",
    ),
    (
        "a sample that no search finds is alike",
        "include/moat/maintenance/in_step.py",
        "    return vector is None or not unfound(",
        "    return vector is None or True or not unfound(",
        f"{IN_STEP}what_is_counted_and_not_found_is_seen_without_a_start",
    ),
)
