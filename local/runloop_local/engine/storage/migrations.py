"""The migrations of the service's databases. Released steps are never changed; new ones are appended.

`PRAGMA user_version` counts the steps that a database has run. Databases of the first releases have version 0, but the
tables of the first step, which therefore creates only what does not exist.
"""

from __future__ import annotations

_DOCUMENTS = """
CREATE TABLE IF NOT EXISTS documents (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    parent TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL DEFAULT '',
    name TEXT NOT NULL DEFAULT '',
    time_ms INTEGER NOT NULL DEFAULT 0,
    view TEXT NOT NULL DEFAULT '',
    body TEXT NOT NULL,
    UNIQUE (kind, id)
);
CREATE INDEX IF NOT EXISTS by_status ON documents (kind, status, position);
CREATE INDEX IF NOT EXISTS by_parent ON documents (kind, parent, position);
"""
# An index for each kind of list, which includes `listed`, though it is always 1, so that it covers a count; positions
# of deleted documents, so that they still work as a cursor; expiry times.
_LISTS = """
ALTER TABLE documents ADD COLUMN listed INTEGER NOT NULL DEFAULT 1;
ALTER TABLE documents ADD COLUMN due_ms INTEGER;
UPDATE documents SET listed = 0 WHERE kind = 'execution'
    OR (kind = 'snapshot' AND status IN ('deleted', 'error'))
    OR (kind IN ('blueprint', 'axon') AND status = 'deleted')
    OR (kind = 'object' AND status = 'DELETED');
UPDATE documents SET due_ms = json_extract(body, '$.delete_after_time_ms') WHERE kind = 'object' AND listed = 1
    AND CASE WHEN json_valid(body) THEN json_type(body, '$.delete_after_time_ms') = 'integer' END;
CREATE INDEX listed ON documents (kind, listed, position) WHERE listed = 1;
CREATE INDEX listed_by_parent ON documents (kind, listed, parent, position) WHERE listed = 1 AND parent <> '';
CREATE INDEX listed_by_name ON documents (kind, listed, name, position) WHERE listed = 1 AND name <> '';
CREATE INDEX listed_by_time ON documents (kind, time_ms) WHERE listed = 1;
CREATE INDEX by_due ON documents (kind, due_ms, id) WHERE due_ms IS NOT NULL;
CREATE TABLE deleted (
    kind TEXT NOT NULL, id TEXT NOT NULL, position INTEGER NOT NULL, time_s INTEGER NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TRIGGER remember_position AFTER DELETE ON documents WHEN OLD.view <> '' BEGIN
    INSERT OR REPLACE INTO deleted VALUES (OLD.kind, OLD.id, OLD.position, CAST(strftime('%s', 'now') AS INTEGER));
END;
"""
_EVENTS = """
CREATE TABLE IF NOT EXISTS events (
    axon TEXT NOT NULL, sequence INTEGER NOT NULL, rest TEXT NOT NULL, PRIMARY KEY (axon, sequence)
) WITHOUT ROWID;
"""

# The requests that have published events, so that a retry finds its event.
_PUBLISHED = """
CREATE TABLE published (
    position INTEGER PRIMARY KEY,
    request TEXT NOT NULL UNIQUE,
    fingerprint TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    time_ms INTEGER NOT NULL
);
"""

# From here on the credentials of tunnels are stored encrypted. Those of devboxes that have ended are deleted, and those
# in the notes of requests; those of live devboxes are encrypted when the service restores them.
_TUNNELS = """
UPDATE documents SET view = json_set(view, '$.tunnel', NULL) WHERE kind = 'devbox' AND json_valid(view);
UPDATE documents SET body = json_set(body, '$.tunnel', NULL)
    WHERE kind = 'devbox' AND status IN ('failure', 'shutdown') AND json_valid(body);
DELETE FROM documents WHERE kind = 'request' AND json_valid(body)
    AND length(json_extract(body, '$.made')) = 32 AND json_extract(body, '$.made') NOT GLOB '*[^0-9a-f]*';
"""

# The number of documents of each kind and status, as counting them takes longer the more there are. The indexes of
# lists also hold the text that a search looks at, so that it reads only the documents that it finds.
_COUNTS = """
CREATE TABLE counts (
    kind TEXT NOT NULL, listed INTEGER NOT NULL, status TEXT NOT NULL, documents INTEGER NOT NULL,
    PRIMARY KEY (kind, listed, status)
) WITHOUT ROWID;
INSERT INTO counts SELECT kind, listed, status, count(*) FROM documents GROUP BY kind, listed, status;
CREATE TRIGGER count_inserted AFTER INSERT ON documents BEGIN
    INSERT INTO counts VALUES (NEW.kind, NEW.listed, NEW.status, 1)
        ON CONFLICT (kind, listed, status) DO UPDATE SET documents = documents + 1;
END;
CREATE TRIGGER count_deleted AFTER DELETE ON documents BEGIN
    UPDATE counts SET documents = documents - 1
        WHERE kind = OLD.kind AND listed = OLD.listed AND status = OLD.status;
END;
CREATE TRIGGER count_changed AFTER UPDATE OF listed, status ON documents
WHEN NEW.listed <> OLD.listed OR NEW.status <> OLD.status BEGIN
    UPDATE counts SET documents = documents - 1
        WHERE kind = OLD.kind AND listed = OLD.listed AND status = OLD.status;
    INSERT INTO counts VALUES (NEW.kind, NEW.listed, NEW.status, 1)
        ON CONFLICT (kind, listed, status) DO UPDATE SET documents = documents + 1;
END;
DROP INDEX listed;
CREATE INDEX listed ON documents (kind, listed, position, lower(id || char(10) || name)) WHERE listed = 1;
DROP INDEX by_status;
CREATE INDEX by_status ON documents (kind, status, position, lower(id || char(10) || name));
"""

STORE = (_DOCUMENTS, _LISTS, _TUNNELS, _COUNTS)
"""The steps of `service.db`."""
EVENTS = (_EVENTS, _PUBLISHED)
"""The steps of `axons/events`."""
