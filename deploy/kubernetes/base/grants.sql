-- After every migration, as the ledger's owner. Moat works on its tables, and adds to the audit only.
GRANT USAGE ON SCHEMA public TO moat;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO moat;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO moat;
REVOKE UPDATE, DELETE, TRUNCATE ON audit FROM moat;
REVOKE DELETE, TRUNCATE ON audit_head FROM moat;
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM moat;
-- The door reads, adds to the audit, and keeps what askers say and, with MOAT_RECORD_ANSWERS, who was answered.
GRANT USAGE ON SCHEMA public TO moat_door;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO moat_door;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO moat_door;
GRANT INSERT ON audit TO moat_door;
GRANT INSERT, UPDATE ON audit_head TO moat_door;
GRANT INSERT, UPDATE, DELETE ON feedback, answered TO moat_door;
