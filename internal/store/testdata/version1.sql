-- A history as version 1 of the database had it, written by sshnotify 0bded0c:
-- sshnotify history import of eight lines of auth.log, and a login of alice's.
BEGIN TRANSACTION;
CREATE TABLE alias(id TEXT PRIMARY KEY, login INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE digest(n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, before INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0);
CREATE TABLE grp(
			id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, a TEXT NOT NULL, b TEXT NOT NULL,
			n INTEGER NOT NULL DEFAULT 0, first INTEGER, last INTEGER,
			UNIQUE(kind, a, b));
INSERT INTO "grp" VALUES(1,0,'db1.example.com','',10,1795168800000,1795884149594);
INSERT INTO "grp" VALUES(2,1,'alice','',2,1795884122879,1795884149594);
INSERT INTO "grp" VALUES(3,2,'alice','db1.example.com',2,1795884122879,1795884149594);
INSERT INTO "grp" VALUES(4,3,'alice','203.0.113.7',2,1795884122879,1795884149594);
INSERT INTO "grp" VALUES(5,4,'alice','203.0.113.0/24',2,1795884122879,1795884149594);
INSERT INTO "grp" VALUES(6,7,'','{"service":"sshd"}',2,1795884122879,1795884149594);
INSERT INTO "grp" VALUES(7,1,'user0','',3,1795168800000,1795687560000);
INSERT INTO "grp" VALUES(8,2,'user0','db1.example.com',3,1795168800000,1795687560000);
INSERT INTO "grp" VALUES(9,3,'user0','203.0.113.0',1,1795168800000,1795168800000);
INSERT INTO "grp" VALUES(10,4,'user0','203.0.113.0/24',3,1795168800000,1795687560000);
INSERT INTO "grp" VALUES(11,6,'user0','SHA256:Mwv3M0mQ3b5tG1Zr0eJ9kU2mPpPj7bq5cXyZ0aBcDe0',3,1795168800000,1795687560000);
INSERT INTO "grp" VALUES(12,7,'','{"service":"sshd","method":"publickey"}',8,1795168800000,1795774020000);
INSERT INTO "grp" VALUES(13,1,'user1','',3,1795255260000,1795774020000);
INSERT INTO "grp" VALUES(14,2,'user1','db1.example.com',3,1795255260000,1795774020000);
INSERT INTO "grp" VALUES(15,3,'user1','203.0.113.1',1,1795255260000,1795255260000);
INSERT INTO "grp" VALUES(16,4,'user1','203.0.113.0/24',3,1795255260000,1795774020000);
INSERT INTO "grp" VALUES(17,6,'user1','SHA256:Mwv3M0mQ3b5tG1Zr0eJ9kU2mPpPj7bq5cXyZ0aBcDe1',3,1795255260000,1795774020000);
INSERT INTO "grp" VALUES(18,1,'user2','',2,1795341720000,1795601100000);
INSERT INTO "grp" VALUES(19,2,'user2','db1.example.com',2,1795341720000,1795601100000);
INSERT INTO "grp" VALUES(20,3,'user2','203.0.113.2',1,1795341720000,1795341720000);
INSERT INTO "grp" VALUES(21,4,'user2','203.0.113.0/24',2,1795341720000,1795601100000);
INSERT INTO "grp" VALUES(22,6,'user2','SHA256:Mwv3M0mQ3b5tG1Zr0eJ9kU2mPpPj7bq5cXyZ0aBcDe2',2,1795341720000,1795601100000);
INSERT INTO "grp" VALUES(23,3,'user0','203.0.113.3',1,1795428180000,1795428180000);
INSERT INTO "grp" VALUES(24,3,'user1','203.0.113.0',1,1795514640000,1795514640000);
INSERT INTO "grp" VALUES(25,3,'user2','203.0.113.1',1,1795601100000,1795601100000);
INSERT INTO "grp" VALUES(26,3,'user0','203.0.113.2',1,1795687560000,1795687560000);
INSERT INTO "grp" VALUES(27,3,'user1','203.0.113.3',1,1795774020000,1795774020000);
CREATE TABLE login(
			n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, time INTEGER NOT NULL, ip BLOB, port INTEGER,
			severity INTEGER NOT NULL, usual INTEGER NOT NULL, source INTEGER NOT NULL, digest INTEGER, g_host INTEGER, g_user INTEGER, g_user_host INTEGER, g_address INTEGER, g_network INTEGER, g_country INTEGER, g_key INTEGER, g_detail INTEGER);
INSERT INTO "login" VALUES(1,'WJ19ET3TWJ0N1P1A3XZXC3W5CW',1795884122879,X'CB007107',51234,0,0,1,NULL,1,2,3,4,5,NULL,NULL,6);
INSERT INTO "login" VALUES(2,'9GGBENZ0E97T88JG7MV1WK7PSM',1795884149594,X'CB007107',51234,0,0,1,NULL,1,2,3,4,5,NULL,NULL,6);
INSERT INTO "login" VALUES(3,'X7S96V25CB3WT4Y7HYGE7F8NPR',1795168800000,X'CB007100',51230,0,0,4,NULL,1,7,8,9,10,NULL,11,12);
INSERT INTO "login" VALUES(4,'8TZ9JTKJTW7D4ABK6SHRP8X2J0',1795255260000,X'CB007101',51231,0,0,4,NULL,1,13,14,15,16,NULL,17,12);
INSERT INTO "login" VALUES(5,'FYRTTHASBQJD4CQRN70DS8AWE8',1795341720000,X'CB007102',51232,0,0,4,NULL,1,18,19,20,21,NULL,22,12);
INSERT INTO "login" VALUES(6,'7A68X29F0ZZ8XCA3GE08YVJR64',1795428180000,X'CB007103',51233,0,0,4,NULL,1,7,8,23,10,NULL,11,12);
INSERT INTO "login" VALUES(7,'F1AGHMDW9FM8XTEZAQ5FW0Y88R',1795514640000,X'CB007100',51234,0,0,4,NULL,1,13,14,24,16,NULL,17,12);
INSERT INTO "login" VALUES(8,'D30MVJDBC31WNQS8Z2BDVMTK9C',1795601100000,X'CB007101',51235,0,0,4,NULL,1,18,19,25,21,NULL,22,12);
INSERT INTO "login" VALUES(9,'FA2VDZHDNF8E6P3DG6HDT39HX0',1795687560000,X'CB007102',51236,0,0,4,NULL,1,7,8,26,10,NULL,11,12);
INSERT INTO "login" VALUES(10,'362J770BHWAD5JAF54NCFV84PW',1795774020000,X'CB007103',51237,0,0,4,NULL,1,13,14,27,16,NULL,17,12);
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX grp_key ON grp(b, last) WHERE kind = 6;
CREATE INDEX alias_login ON alias(login);
CREATE INDEX login_time ON login(time);
CREATE INDEX login_untold ON login(time) WHERE usual = 1 AND digest IS NULL;
CREATE INDEX login_digest ON login(digest) WHERE digest IS NOT NULL;
CREATE INDEX login_g_host ON login(g_host, time);
CREATE INDEX login_g_user ON login(g_user, time);
CREATE INDEX login_g_user_host ON login(g_user_host, time);
CREATE INDEX login_g_address ON login(g_address, time);
CREATE INDEX login_g_network ON login(g_network, time);
CREATE INDEX login_g_country ON login(g_country, time);
CREATE INDEX login_g_key ON login(g_key, time);
CREATE TRIGGER login_added AFTER INSERT ON login BEGIN
			UPDATE grp SET n = n+1, first = min(coalesce(first, new.time), new.time), last = max(coalesce(last, new.time), new.time)
			WHERE id IN (new.g_host, new.g_user, new.g_user_host, new.g_address, new.g_network, new.g_country, new.g_key, new.g_detail);
		END;
CREATE TRIGGER login_dropped AFTER DELETE ON login BEGIN DELETE FROM alias WHERE login = old.n;UPDATE grp SET n = n-1,
			first = CASE WHEN first = old.time THEN (SELECT min(time) FROM login WHERE g_host = old.g_host) ELSE first END,
			last = CASE WHEN last = old.time THEN (SELECT max(time) FROM login WHERE g_host = old.g_host) ELSE last END
			WHERE id = old.g_host;UPDATE grp SET n = n-1,
			first = CASE WHEN first = old.time THEN (SELECT min(time) FROM login WHERE g_user = old.g_user) ELSE first END,
			last = CASE WHEN last = old.time THEN (SELECT max(time) FROM login WHERE g_user = old.g_user) ELSE last END
			WHERE id = old.g_user;UPDATE grp SET n = n-1,
			first = CASE WHEN first = old.time THEN (SELECT min(time) FROM login WHERE g_user_host = old.g_user_host) ELSE first END,
			last = CASE WHEN last = old.time THEN (SELECT max(time) FROM login WHERE g_user_host = old.g_user_host) ELSE last END
			WHERE id = old.g_user_host;UPDATE grp SET n = n-1,
			first = CASE WHEN first = old.time THEN (SELECT min(time) FROM login WHERE g_address = old.g_address) ELSE first END,
			last = CASE WHEN last = old.time THEN (SELECT max(time) FROM login WHERE g_address = old.g_address) ELSE last END
			WHERE id = old.g_address;UPDATE grp SET n = n-1,
			first = CASE WHEN first = old.time THEN (SELECT min(time) FROM login WHERE g_network = old.g_network) ELSE first END,
			last = CASE WHEN last = old.time THEN (SELECT max(time) FROM login WHERE g_network = old.g_network) ELSE last END
			WHERE id = old.g_network;UPDATE grp SET n = n-1,
			first = CASE WHEN first = old.time THEN (SELECT min(time) FROM login WHERE g_country = old.g_country) ELSE first END,
			last = CASE WHEN last = old.time THEN (SELECT max(time) FROM login WHERE g_country = old.g_country) ELSE last END
			WHERE id = old.g_country;UPDATE grp SET n = n-1,
			first = CASE WHEN first = old.time THEN (SELECT min(time) FROM login WHERE g_key = old.g_key) ELSE first END,
			last = CASE WHEN last = old.time THEN (SELECT max(time) FROM login WHERE g_key = old.g_key) ELSE last END
			WHERE id = old.g_key;UPDATE grp SET n = n-1 WHERE id = old.g_detail;DELETE FROM grp WHERE id IN (old.g_host, old.g_user, old.g_user_host, old.g_address, old.g_network, old.g_country, old.g_key, old.g_detail) AND n <= 0;
		END;
COMMIT;
PRAGMA application_id = 1936944744;
PRAGMA user_version = 1;
