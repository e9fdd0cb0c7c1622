-- After every migration, as Airflow. KEDA counts the tasks of a queue, and can read nothing else.
GRANT USAGE ON SCHEMA public TO airflow_scaler;
GRANT SELECT (state, queue) ON task_instance TO airflow_scaler;
