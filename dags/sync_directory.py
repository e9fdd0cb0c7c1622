"""Reads directories of people and groups completely every half hour. (Airflow DAG)"""

from moat_directories import sync_directories

from include.people.directory import Directory, GroupsFile

sync_directories(
    Directory(
        name="samples",
        description="Tidewater Freight: its groups bear the company's own names, such as group:people-team",
        reader=GroupsFile(path="include/samples/groups.yaml"),
        own_names=True,
    ),
)
