BEGIN TRANSACTION;
CREATE TABLE events (
    axon TEXT NOT NULL, sequence INTEGER NOT NULL, rest TEXT NOT NULL, PRIMARY KEY (axon, sequence)
) WITHOUT ROWID;
INSERT INTO "events" VALUES('axn_01m8j55z4xj8j7m5zm7dv3yg6n',1,'{"axon_id": "axn_01m8j55z4xj8j7m5zm7dv3yg6n", "event_type": "t", "origin": "USER_EVENT", "payload": "first", "source": "s", "timestamp_ms": 1795905748156}');
INSERT INTO "events" VALUES('axn_01m8j55z4xj8j7m5zm7dv3yg6n',2,'{"axon_id": "axn_01m8j55z4xj8j7m5zm7dv3yg6n", "event_type": "t", "origin": "USER_EVENT", "payload": "second", "source": "s", "timestamp_ms": 1795905748174}');
COMMIT;
PRAGMA user_version = 0;
