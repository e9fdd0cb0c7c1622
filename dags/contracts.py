"""Contracts: objects in S3, readable by the principals in their `readers` tag. (Airflow DAG)"""

from ingest import ingest

from include.source import ObjectTags, S3Objects, Source

ingest(
    Source(
        name="contracts",
        description="Signed contracts, from an S3 bucket",
        reader=S3Objects(conn_id="contracts_s3", bucket="contracts"),
        access=ObjectTags(allow="readers"),
    ),
    schedule="30 1 * * *",
)
