-- Once, as an administrator of PostgreSQL: accounts and databases, as docker-compose.yaml makes them, and two more for
-- KEDA and the door. Nobody connects to a database that is not theirs. Airflow's may stand on a server of its own.
--
--   set -a; . ./.env; set +a; psql --no-psqlrc --set ON_ERROR_STOP=1 --file deploy/kubernetes/databases.sql "$ADMIN_URL"
\getenv airflow AIRFLOW_DB_PASSWORD
\getenv scaler SCALER_DB_PASSWORD
\getenv celery CELERY_DB_PASSWORD
\getenv owner LEDGER_OWNER_PASSWORD
\getenv moat LEDGER_PASSWORD
\getenv door DOOR_DB_PASSWORD
CREATE ROLE airflow LOGIN PASSWORD :'airflow';
CREATE ROLE airflow_scaler LOGIN PASSWORD :'scaler' CONNECTION LIMIT 5;
CREATE ROLE celery LOGIN PASSWORD :'celery';
CREATE ROLE moat_owner LOGIN PASSWORD :'owner';
CREATE ROLE moat LOGIN PASSWORD :'moat';
CREATE ROLE moat_door LOGIN PASSWORD :'door';
CREATE DATABASE airflow OWNER airflow;
CREATE DATABASE celery OWNER celery;
CREATE DATABASE moat OWNER moat_owner;
REVOKE CONNECT ON DATABASE airflow, celery, moat FROM PUBLIC;
GRANT CONNECT ON DATABASE airflow TO airflow_scaler;
GRANT CONNECT ON DATABASE moat TO moat, moat_door;
