"""Seeded bugs of many sources in one file, and of access sync in one task: (name, file, old, new, test)."""

TOGETHER, SYNCED = "include/moat/maintenance/sync_together.py", "tests/maintenance/test_sync_together.py::test_"
DAGS = "tests/dags/test_dags.py::test_"
MANY = (
    (
        "every task carries its DAG's parameters",
        "dags/ingest.py",
        "        max_active_runs=1,\n",
        "        max_active_runs=1,\n        params=PARAMS,\n",
        f"{DAGS}hundreds_of_sources_in_one_file_cost_airflow_little_more_than_bare_tasks_do",
    ),
    (
        "a task builds the DAGs of all sources of its file",
        "dags/ingest.py",
        "if wanted not in (None, source.name):",
        "if wanted == source.name + '?':",
        f"{DAGS}a_task_builds_no_other_sources_dag",
    ),
    (
        "the folder is read once for each source",
        "include/moat/dagfile.py",
        "@lru_cache(1)  #",
        "#",
        "tests/test_dagfile.py::test_the_folder_is_read_once_for_all_sources_of_a_file_and_again_for_the_next_execution",
    ),
    (
        "a source that hangs is read first again",
        TOGETHER,
        "return (state is not None and state.until is not None, ",
        "return (False, ",
        f"{SYNCED}all_due_sources_of_a_kind_are_read_in_one_go_and_the_one_that_fails_comes_last",
    ),
    (
        "a second try reads everything again",
        TOGETHER,
        "if read_at is None or read_at < since:",
        "if True:",
        f"{SYNCED}all_due_sources_of_a_kind_are_read_in_one_go_and_the_one_that_fails_comes_last",
    ),
    (
        "a fact that a reader does not give is taken for one",
        "include/moat/source.py",
        "                if name not in gives:\n",
        "                if False:\n",
        "tests/test_testing.py::test_a_rule_that_names_a_fact_which_the_reader_does_not_give_is_refused_when_it_is_declared",
    ),
    (
        "a server that asks to wait is asked at once",
        "include/moat/retry_after.py",
        'answer.headers.get("retry-after"), attempt',
        "None, 0",
        "tests/test_testing.py::test_a_server_that_asks_to_slow_down_is_waited_for_as_it_asks",
    ),
    (
        "documents are embedded as questions are",
        "include/moat/embedding/client.py",
        'self._form.query_prompt if priority == "query" else self._form.document_prompt',
        "self._form.query_prompt",
        "tests/embedding/test_server.py::test_an_endpoint_may_have_a_base_path_dimensions_and_prompts",
    ),
)
