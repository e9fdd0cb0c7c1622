-- One row a ticket. `team` says who may read it; a ticket without a team is set aside.
SELECT id, subject, body, team, status, priority, updated_at
FROM tickets
