"""What DAG files and applications of this Airflow project import: `include.source`, `include.retrieve`.

The code behind them is the package `moat` in this folder, which is also what the wheel installs.
"""
