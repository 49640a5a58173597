BEGIN TRANSACTION;
CREATE TABLE events (
    axon TEXT NOT NULL, sequence INTEGER NOT NULL, rest TEXT NOT NULL, PRIMARY KEY (axon, sequence)
) WITHOUT ROWID;
INSERT INTO "events" VALUES('axn_01m8jndtnss0xhjkkwmv6hdttj',1,'{"axon_id": "axn_01m8jndtnss0xhjkkwmv6hdttj", "event_type": "t", "origin": "USER_EVENT", "payload": "first", "source": "s", "timestamp_ms": 1795922782913}');
INSERT INTO "events" VALUES('axn_01m8jndtnss0xhjkkwmv6hdttj',2,'{"axon_id": "axn_01m8jndtnss0xhjkkwmv6hdttj", "event_type": "t", "origin": "USER_EVENT", "payload": "second", "source": "s", "timestamp_ms": 1795922782916}');
CREATE TABLE published (
    position INTEGER PRIMARY KEY,
    request TEXT NOT NULL UNIQUE,
    fingerprint TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    time_ms INTEGER NOT NULL
);
INSERT INTO "published" VALUES(1,'de33d3e6bc773588f388f61ca54b31ae','1106349414dc654ccba3da253ec480c6',1,1795922782913);
INSERT INTO "published" VALUES(2,'a726f654e66ef49d546f1e13956d6a42','edebb8889a25bcacd183abfa174ede3e',2,1795922782916);
COMMIT;
PRAGMA user_version = 2;
