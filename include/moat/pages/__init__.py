"""What the pages in Airflow's UI show and do: views of the ledger as plain values, without Airflow."""
