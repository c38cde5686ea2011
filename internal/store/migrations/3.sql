-- Who is usual. A login that was told as high or worse teaches nothing: it is in
-- the groups of its host, its user and its details, and in g_untaught, until
-- somebody acknowledges it.
ALTER TABLE login ADD COLUMN g_known INTEGER;
ALTER TABLE login ADD COLUMN g_host_network INTEGER;
ALTER TABLE login ADD COLUMN g_host_country INTEGER;
ALTER TABLE login ADD COLUMN g_pair INTEGER;
ALTER TABLE login ADD COLUMN g_untaught INTEGER;

-- network says what a network is called by: the numbers of its autonomous
-- systems and the name of its organisation, or a name of the settings.
CREATE TABLE network(name TEXT PRIMARY KEY, network TEXT NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO network SELECT DISTINCT 'AS' || json_extract(b, '$.asn'), 'AS' || json_extract(b, '$.asn')
	FROM grp WHERE kind = 7 AND json_extract(b, '$.asn') > 0;
INSERT OR IGNORE INTO network SELECT 'org:' || lower(json_extract(b, '$.as_name')), 'AS' || min(json_extract(b, '$.asn'))
	FROM grp WHERE kind = 7 AND json_extract(b, '$.asn') > 0 AND json_extract(b, '$.as_name') <> '' GROUP BY 1;
-- A network of the settings was remembered by where it is; which of the names
-- are of the settings is not known, so that each may be one.
INSERT OR IGNORE INTO network SELECT 'net:' || json_extract(d.b, '$.as_name'), min(g.b)
	FROM (SELECT DISTINCT g_detail, g_network FROM login) l JOIN grp d ON d.id = l.g_detail JOIN grp g ON g.id = l.g_network
	WHERE json_extract(d.b, '$.as_name') <> '' GROUP BY 1;

-- pair is a user, a network and a key. Its state is 0 new, 1 usual, 2
-- acknowledged. standing are the reasons that it had when it became usual, as
-- JSON; NULL: the next login says. told_id is the login of the newest message.
CREATE TABLE pair(
	user TEXT NOT NULL, network TEXT NOT NULL, key TEXT NOT NULL,
	state INTEGER NOT NULL DEFAULT 0, since INTEGER, standing TEXT,
	told INTEGER, told_id TEXT, told_severity INTEGER, told_reasons TEXT,
	PRIMARY KEY(user, network, key)) WITHOUT ROWID;
CREATE INDEX pair_usual ON pair(since) WHERE state > 0;
CREATE INDEX pair_acknowledged ON pair(user, key) WHERE state = 2;

-- alarm is what was told as high or worse, by user, country (or network, where
-- none is known) and key, and nobody has acknowledged.
CREATE TABLE alarm(
	user TEXT NOT NULL, place TEXT NOT NULL, key TEXT NOT NULL,
	told INTEGER NOT NULL, told_id TEXT NOT NULL, told_severity INTEGER NOT NULL, told_reasons TEXT NOT NULL, unanswered INTEGER NOT NULL,
	PRIMARY KEY(user, place, key)) WITHOUT ROWID;

-- ack is who said that a pair is theirs; undone: when that was taken back. state
-- and since are the pair's from before.
CREATE TABLE ack(
	n INTEGER PRIMARY KEY, time INTEGER NOT NULL, event TEXT NOT NULL, user TEXT NOT NULL, network TEXT NOT NULL, key TEXT NOT NULL,
	by TEXT NOT NULL, session TEXT NOT NULL, note TEXT NOT NULL, state INTEGER NOT NULL, since INTEGER, undone INTEGER);
CREATE INDEX ack_pair ON ack(user, network, key, n);

DROP TRIGGER login_added;
DROP TRIGGER login_dropped;

-- All that was remembered before counts, and whoever came on three days is usual.
CREATE TEMP TABLE member AS SELECT l.n, u.a AS user, coalesce(g.b, '') AS network, c.b AS country,
	CASE WHEN coalesce(k.b, '') <> '' THEN k.b ELSE 'method:' || coalesce(json_extract(d.b, '$.method'), '') END AS key, l.time
	FROM login l JOIN grp u ON u.id = l.g_user LEFT JOIN grp g ON g.id = l.g_network LEFT JOIN grp c ON c.id = l.g_country
	LEFT JOIN grp k ON k.id = l.g_key LEFT JOIN grp d ON d.id = l.g_detail;
INSERT INTO grp(kind, a, b, n) SELECT 8, user, '', count(*) FROM member GROUP BY user;
INSERT INTO grp(kind, a, b, n) SELECT 9, network, '', count(*) FROM member WHERE network <> '' GROUP BY network;
INSERT INTO grp(kind, a, b, n) SELECT 10, country, '', count(*) FROM member WHERE country IS NOT NULL GROUP BY country;
INSERT INTO grp(kind, a, b, n) SELECT 11, user, network || char(9) || key, count(*) FROM member GROUP BY user, network, key;
UPDATE login SET g_known = (SELECT id FROM grp WHERE kind = 8 AND a = m.user AND b = ''),
	g_host_network = (SELECT id FROM grp WHERE kind = 9 AND a = m.network AND b = ''),
	g_host_country = (SELECT id FROM grp WHERE kind = 10 AND a = m.country AND b = ''),
	g_pair = (SELECT id FROM grp WHERE kind = 11 AND a = m.user AND b = m.network || char(9) || m.key)
	FROM member m WHERE m.n = login.n;
INSERT INTO pair(user, network, key, state, since)
	SELECT user, network, key, days >= 3 AND last - first >= 172800000, first + 172800000
	FROM (SELECT user, network, key, count(DISTINCT time / 86400000) AS days, min(time) AS first, max(time) AS last FROM member GROUP BY user, network, key);
UPDATE pair SET since = NULL WHERE state = 0;
INSERT OR REPLACE INTO meta SELECT 'upgraded', max(time) FROM login HAVING count(*) > 0;
DROP TABLE member;

CREATE INDEX login_g_known ON login(g_known, time);
CREATE INDEX login_g_host_network ON login(g_host_network, time);
CREATE INDEX login_g_host_country ON login(g_host_country, time);
CREATE INDEX login_g_pair ON login(g_pair, time);
CREATE INDEX login_g_untaught ON login(g_untaught, time) WHERE g_untaught IS NOT NULL;
CREATE INDEX login_untaught ON login(time) WHERE g_untaught IS NOT NULL;
CREATE INDEX grp_address ON grp(b, a) WHERE kind = 3;

CREATE TRIGGER login_added AFTER INSERT ON login BEGIN
	UPDATE grp SET n = n+1 WHERE id IN (new.g_host, new.g_user, new.g_user_host, new.g_address,
		new.g_network, new.g_country, new.g_key, new.g_detail, new.g_known, new.g_host_network,
		new.g_host_country, new.g_pair, new.g_untaught);
END;
CREATE TRIGGER login_dropped AFTER DELETE ON login BEGIN
	DELETE FROM alias WHERE login = old.n;
	UPDATE grp SET n = n-1 WHERE id IN (old.g_host, old.g_user, old.g_user_host, old.g_address,
		old.g_network, old.g_country, old.g_key, old.g_detail, old.g_known, old.g_host_network,
		old.g_host_country, old.g_pair, old.g_untaught);
	DELETE FROM grp WHERE n <= 0 AND id IN (old.g_host, old.g_user, old.g_user_host, old.g_address,
		old.g_network, old.g_country, old.g_key, old.g_detail, old.g_known, old.g_host_network,
		old.g_host_country, old.g_pair, old.g_untaught);
END;
