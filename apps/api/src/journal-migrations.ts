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
  // What is asked often must not take longer the more dumps there were. A list is in the order of created_ms, then seq, which
  // ends every index: it is the row's own number.
  `
ALTER TABLE dumps ADD COLUMN kept_bytes INTEGER GENERATED ALWAYS AS (
  CASE WHEN state = 'succeeded' AND json_extract(result, '$.expiredAt') IS NULL
    THEN json_extract(result, '$.artifact.bytes') END
) VIRTUAL;
ALTER TABLE dumps ADD COLUMN bare_ms INTEGER GENERATED ALWAYS AS (
  CASE WHEN state IN ('failed', 'cancelled', 'lost') THEN ifnull(finished_ms, created_ms)
    WHEN state = 'succeeded' AND json_extract(result, '$.expiredAt') IS NOT NULL
      THEN max(ifnull(finished_ms, created_ms), unixepoch(json_extract(result, '$.expiredAt')) * 1000) END
) VIRTUAL;
DROP INDEX IF EXISTS by_guest;
DROP INDEX IF EXISTS by_host;
DROP INDEX by_state;
DROP INDEX by_tenant;
DROP INDEX stored_by_tenant;
CREATE INDEX by_time ON dumps (created_ms);
CREATE INDEX by_state ON dumps (state, created_ms);
CREATE INDEX by_guest ON dumps (guest, created_ms, tenant, state, host);
CREATE INDEX by_host ON dumps (host, created_ms, tenant);
CREATE INDEX by_host_and_state ON dumps (host, state, created_ms, tenant);
CREATE INDEX by_tenant ON dumps (tenant, created_ms);
CREATE INDEX by_tenant_and_state ON dumps (tenant, state, created_ms);
CREATE INDEX kept_by_age ON dumps (ifnull(finished_ms, 0)) WHERE kept_bytes IS NOT NULL;
CREATE INDEX bare_by_age ON dumps (bare_ms) WHERE bare_ms IS NOT NULL;
CREATE TABLE dump_totals (
  tenant TEXT NOT NULL,
  state TEXT NOT NULL,
  dumps INTEGER NOT NULL,
  kept_bytes INTEGER NOT NULL,
  PRIMARY KEY (tenant, state)
) STRICT, WITHOUT ROWID;
INSERT INTO dump_totals
  SELECT ifnull(tenant, ''), state, count(*), ifnull(sum(kept_bytes), 0) FROM dumps GROUP BY ifnull(tenant, ''), state;
CREATE TRIGGER total_grows AFTER INSERT ON dumps BEGIN
  INSERT INTO dump_totals VALUES (ifnull(new.tenant, ''), new.state, 1, ifnull(new.kept_bytes, 0))
    ON CONFLICT DO UPDATE SET dumps = dumps + 1, kept_bytes = kept_bytes + excluded.kept_bytes;
END;
CREATE TRIGGER total_shrinks AFTER DELETE ON dumps BEGIN
  UPDATE dump_totals SET dumps = dumps - 1, kept_bytes = kept_bytes - ifnull(old.kept_bytes, 0)
    WHERE tenant = ifnull(old.tenant, '') AND state = old.state;
END;
CREATE TRIGGER total_moves AFTER UPDATE OF state, result ON dumps
WHEN old.state IS NOT new.state OR old.kept_bytes IS NOT new.kept_bytes BEGIN
  UPDATE dump_totals SET dumps = dumps - 1, kept_bytes = kept_bytes - ifnull(old.kept_bytes, 0)
    WHERE tenant = ifnull(old.tenant, '') AND state = old.state;
  INSERT INTO dump_totals VALUES (ifnull(new.tenant, ''), new.state, 1, ifnull(new.kept_bytes, 0))
    ON CONFLICT DO UPDATE SET dumps = dumps + 1, kept_bytes = kept_bytes + excluded.kept_bytes;
END;
`,
]
