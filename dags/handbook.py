"""The company handbook: files in folders, readable as their access files say. (Airflow DAG)"""

from ingest import ingest

from include.source import AccessFiles, Golden, LocalFiles, Source

ingest(
    Source(
        name="handbook",
        description="The company handbook, from a folder of Markdown, HTML, DOCX and PDF",
        reader=LocalFiles(path="include/samples/handbook", patterns=("*.md", "*.html", "*.docx", "*.pdf")),
        access=AccessFiles(".access.yaml"),
        golden=Golden(file="include/samples/golden/handbook.yaml", k=3),
    ),
    schedule="0 1 * * *",
)
