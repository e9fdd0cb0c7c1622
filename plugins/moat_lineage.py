"""OpenLineage events of read, gate, load and promote: inputs, outputs and check results.

Airflow's provider emits an event when a task starts, succeeds or fails, and calls a method of a known
name on the operator to get its facets. `emits` adds this method to an operator. If OpenLineage is off
the method is never called, and nothing for it is imported.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moat.monitoring.lineage import Dataset, Stage, TaskLineage
    from moat.source import Source

log = logging.getLogger("airflow.task")
SEVERITIES = {"block": "error", "hold": "error", "warn": "warn"}  # ours in the specification's words


def emits(task: Any, source: Source, stage: Stage) -> None:
    """Add a stage's facts to the events of an operator or decorated task."""
    operator = getattr(task, "operator", task)
    operator.get_openlineage_facets_on_complete = _Facets(source, stage)


class _Facets:
    """The method that the provider calls; an object, so that DAGs can be copied."""

    def __init__(self, source: Source, stage: Stage) -> None:
        self._source, self._stage = source, stage

    def __call__(self, task_instance: Any) -> Any:
        from airflow.providers.openlineage.extractors import OperatorLineage
        from moat_tasks import open_runtime

        from moat.errors import MoatError
        from moat.monitoring.lineage import facts_of

        run = f"airflow:{task_instance.dag_id}:{task_instance.run_id}"
        try:
            with open_runtime() as runtime:
                facts = facts_of(runtime, self._source, self._stage, run)
        except MoatError as error:
            log.warning("OpenLineage is told nothing of %s: %s", self._stage, error)
            return OperatorLineage()
        return _lineage(facts) if facts is not None else OperatorLineage()


def _lineage(facts: TaskLineage) -> Any:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset

    inputs = [
        InputDataset(one.namespace, one.name, facets=_facets(one), inputFacets=_found(one)) for one in facts.inputs
    ]
    outputs = [
        OutputDataset(
            one.namespace,
            one.name,
            facets=_facets(one),
            outputFacets={
                "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                    rowCount=one.n_rows
                )
            }
            if one.n_rows is not None
            else {},
        )
        for one in facts.outputs
    ]
    return OperatorLineage(inputs=inputs, outputs=outputs, run_facets={"moat_load": _load_facet(facts)})


def _load_facet(facts: TaskLineage) -> Any:
    """A facet with the load that the task worked on."""
    import attr
    from openlineage.client.facet_v2 import RunFacet

    @attr.define
    class MoatLoadRunFacet(RunFacet):
        load: int
        source: str
        state: str
        counts: dict[str, int]

    load = facts.load
    return MoatLoadRunFacet(load.id, load.source, load.state, dict(load.counts))


def _facets(one: Dataset) -> dict[str, Any]:
    """Facets of a dataset as input or output: columns, their origin, version."""
    from openlineage.client.facet_v2 import (
        column_lineage_dataset,
        dataset_version_dataset,
        datasource_dataset,
        lifecycle_state_change_dataset,
        schema_dataset,
    )

    found: dict[str, Any] = {"dataSource": datasource_dataset.DatasourceDatasetFacet(name=one.namespace)}
    if one.columns:
        found["schema"] = schema_dataset.SchemaDatasetFacet(
            fields=[schema_dataset.SchemaDatasetFacetFields(c.name, c.type or None) for c in one.columns]
        )
    if one.version:
        found["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(one.version)
    followed = {
        c.name: column_lineage_dataset.Fields(
            [
                column_lineage_dataset.InputField(
                    *came,
                    transformations=[column_lineage_dataset.Transformation("DIRECT", "TRANSFORMATION", c.how, False)],
                )
                for came in c.came_from
            ]
        )
        for c in one.columns
        if c.came_from
    }
    if followed:
        found["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(followed)
    if one.replaced:
        change = lifecycle_state_change_dataset.LifecycleStateChange.OVERWRITE
        found["lifecycleStateChange"] = lifecycle_state_change_dataset.LifecycleStateChangeDatasetFacet(change)
    return found


def _found(one: Dataset) -> dict[str, Any]:
    """Counts and check results of an input dataset."""
    from openlineage.client.facet_v2 import data_quality_assertions_dataset, data_quality_metrics_input_dataset

    found: dict[str, Any] = {}
    if one.checked:
        found["dataQualityAssertions"] = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
            [
                data_quality_assertions_dataset.Assertion(
                    assertion=check.family,
                    success=check.passed,
                    severity=SEVERITIES[check.severity],
                    name=check.name,
                    expected=check.allowed,
                    actual=check.seen,
                )
                for check in one.checked
                if check.judged
            ]
        )
    if one.n_rows is not None:
        metrics = data_quality_metrics_input_dataset
        nulls = {c.name: metrics.ColumnMetrics(nullCount=c.n_null) for c in one.columns if c.n_null is not None}
        found["dataQualityMetrics"] = metrics.DataQualityMetricsInputDatasetFacet(nulls, rowCount=one.n_rows)
    return found
