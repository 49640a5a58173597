BEGIN TRANSACTION;
CREATE TABLE events (
    axon TEXT NOT NULL, sequence INTEGER NOT NULL, rest TEXT NOT NULL, PRIMARY KEY (axon, sequence)
) WITHOUT ROWID;
INSERT INTO "events" VALUES('axn_01m8j55kp1aasgjmc2b9eak4er',1,'{"axon_id": "axn_01m8j55kp1aasgjmc2b9eak4er", "event_type": "t", "origin": "USER_EVENT", "payload": "first", "source": "s", "timestamp_ms": 1795905736414}');
INSERT INTO "events" VALUES('axn_01m8j55kp1aasgjmc2b9eak4er',2,'{"axon_id": "axn_01m8j55kp1aasgjmc2b9eak4er", "event_type": "t", "origin": "USER_EVENT", "payload": "second", "source": "s", "timestamp_ms": 1795905736425}');
COMMIT;
PRAGMA user_version = 0;
