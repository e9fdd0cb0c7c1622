"""Where DAG files of directories imported from before: `include.source` has the same names."""
