BEGIN TRANSACTION;
CREATE TABLE events (
    axon TEXT NOT NULL, sequence INTEGER NOT NULL, rest TEXT NOT NULL, PRIMARY KEY (axon, sequence)
) WITHOUT ROWID;
INSERT INTO "events" VALUES('axn_01m8n8shrnq55wqrrcjsbnh724',1,'{"axon_id": "axn_01m8n8shrnq55wqrrcjsbnh724", "event_type": "t", "origin": "USER_EVENT", "payload": "first", "source": "s", "timestamp_ms": 1796010198842}');
INSERT INTO "events" VALUES('axn_01m8n8shrnq55wqrrcjsbnh724',2,'{"axon_id": "axn_01m8n8shrnq55wqrrcjsbnh724", "event_type": "t", "origin": "USER_EVENT", "payload": "second", "source": "s", "timestamp_ms": 1796010198852}');
CREATE TABLE published (
    position INTEGER PRIMARY KEY,
    request TEXT NOT NULL UNIQUE,
    fingerprint TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    time_ms INTEGER NOT NULL
);
INSERT INTO "published" VALUES(1,'7bfd35a56e1a49781ef6e3e3d05a5157','1106349414dc654ccba3da253ec480c6',1,1796010198842);
INSERT INTO "published" VALUES(2,'01910d3577444ecd4efb0069665deba0','edebb8889a25bcacd183abfa174ede3e',2,1796010198852);
COMMIT;
PRAGMA user_version = 2;
