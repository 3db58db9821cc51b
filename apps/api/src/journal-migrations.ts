/**
 * How the tables came to be what they are: each script leads from the version before it to its own, which is its place
 * in the list, counted from 1. `PRAGMA user_version` has the version of a file. Only ever appended to.
 */
export const migrations: readonly string[] = [
  `
CREATE TABLE dumps (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  guest TEXT NOT NULL,
  host TEXT NOT NULL,
  options TEXT NOT NULL,
  state TEXT NOT NULL,
  revision INTEGER NOT NULL,
  queued INTEGER NOT NULL,
  cancel_requested INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  started_ms INTEGER,
  finished_ms INTEGER,
  progress TEXT,
  failure TEXT,
  result TEXT
) STRICT;
CREATE UNIQUE INDEX one_active_dump_per_guest ON dumps (guest) WHERE state IN ('queued', 'running');
CREATE INDEX by_state ON dumps (state, seq);
`,
  // Two tenants may each have a guest of the same name; neither may hear of the other's.
  `
ALTER TABLE dumps ADD COLUMN tenant TEXT;
ALTER TABLE dumps ADD COLUMN requested_by TEXT;
DROP INDEX one_active_dump_per_guest;
CREATE UNIQUE INDEX one_active_dump_per_guest ON dumps (guest, ifnull(tenant, '')) WHERE state IN ('queued', 'running');
CREATE INDEX by_tenant ON dumps (tenant, seq);
CREATE INDEX stored_by_tenant ON dumps (tenant, json_extract(result, '$.artifact.bytes')) WHERE state = 'succeeded';
`,
]
