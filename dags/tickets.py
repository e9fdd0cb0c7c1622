"""Support tickets from the warehouse, readable by the team that owns them. (Airflow DAG)"""

from ingest import ingest

from include.source import Columns, Golden, Limits, Source, WarehouseRows

ingest(
    Source(
        name="tickets",
        description="Support tickets, from a warehouse table",
        reader=WarehouseRows(
            conn_id="warehouse",
            sql="tickets.sql",
            key="id",
            text="# {subject}\n\n{body}",
            modified_at="updated_at",
            metadata=("status", "priority"),
        ),
        access=Columns(allow="team"),
        limits=Limits(min_documents=20),
        golden=Golden(file="include/samples/golden/tickets.yaml"),
    ),
    schedule="0 2 * * *",
)
