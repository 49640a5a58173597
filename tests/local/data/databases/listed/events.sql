BEGIN TRANSACTION;
CREATE TABLE events (
    axon TEXT NOT NULL, sequence INTEGER NOT NULL, rest TEXT NOT NULL, PRIMARY KEY (axon, sequence)
) WITHOUT ROWID;
INSERT INTO "events" VALUES('axn_01m8jakp6d9zph132x2zfjx4mq',1,'{"axon_id": "axn_01m8jakp6d9zph132x2zfjx4mq", "event_type": "t", "origin": "USER_EVENT", "payload": "first", "source": "s", "timestamp_ms": 1795911440601}');
INSERT INTO "events" VALUES('axn_01m8jakp6d9zph132x2zfjx4mq',2,'{"axon_id": "axn_01m8jakp6d9zph132x2zfjx4mq", "event_type": "t", "origin": "USER_EVENT", "payload": "second", "source": "s", "timestamp_ms": 1795911440634}');
CREATE TABLE published (
    position INTEGER PRIMARY KEY,
    request TEXT NOT NULL UNIQUE,
    fingerprint TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    time_ms INTEGER NOT NULL
);
INSERT INTO "published" VALUES(1,'63a1da2f41014ad1a403ee33ef27abba','1106349414dc654ccba3da253ec480c6',1,1795911440601);
INSERT INTO "published" VALUES(2,'d45eb0f96888a222219f5c61619f46c4','edebb8889a25bcacd183abfa174ede3e',2,1795911440634);
COMMIT;
PRAGMA user_version = 2;
