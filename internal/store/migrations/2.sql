-- First and last are one step in login's indexes; only the counts are kept.
DROP TRIGGER IF EXISTS login_added;
DROP TRIGGER IF EXISTS login_dropped;
DROP INDEX grp_key;
ALTER TABLE grp DROP COLUMN first;
ALTER TABLE grp DROP COLUMN last;
CREATE INDEX grp_key ON grp(b, a) WHERE kind = 6;

CREATE TRIGGER login_added AFTER INSERT ON login BEGIN
	UPDATE grp SET n = n+1 WHERE id IN (new.g_host, new.g_user, new.g_user_host, new.g_address,
		new.g_network, new.g_country, new.g_key, new.g_detail);
END;
CREATE TRIGGER login_dropped AFTER DELETE ON login BEGIN
	DELETE FROM alias WHERE login = old.n;
	UPDATE grp SET n = n-1 WHERE id IN (old.g_host, old.g_user, old.g_user_host, old.g_address,
		old.g_network, old.g_country, old.g_key, old.g_detail);
	DELETE FROM grp WHERE n <= 0 AND id IN (old.g_host, old.g_user, old.g_user_host, old.g_address,
		old.g_network, old.g_country, old.g_key, old.g_detail);
END;

-- delivered are the events of a spool that are done with, as internal/deliver
-- writes them.
CREATE TABLE delivered(
	spool TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, event TEXT NOT NULL,
	PRIMARY KEY(spool, id)) WITHOUT ROWID;
CREATE INDEX delivered_at ON delivered(at);

-- state holds small JSON documents: the pace and pauses of a destination, the
-- quota of a provider, what was reported about a spool.
CREATE TABLE state(kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(kind, name)) WITHOUT ROWID;

-- answer holds what providers said of addresses, for a while. stored is in
-- milliseconds since 1970.
CREATE TABLE answer(
	provider TEXT NOT NULL, key TEXT NOT NULL, stored INTEGER NOT NULL, value TEXT NOT NULL,
	PRIMARY KEY(provider, key)) WITHOUT ROWID;
CREATE INDEX answer_stored ON answer(provider, stored);
