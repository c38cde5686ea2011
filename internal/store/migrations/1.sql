-- The history. Times are milliseconds since 1970 in UTC.

-- grp counts the logins that have something in common: kind says what (see
-- internal/history), a and b are the values. An exact count over half a million
-- logins takes too long for a query at each of them.
CREATE TABLE grp(
	id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, a TEXT NOT NULL, b TEXT NOT NULL,
	n INTEGER NOT NULL DEFAULT 0, first INTEGER, last INTEGER,
	UNIQUE(kind, a, b));
CREATE INDEX grp_key ON grp(b, last) WHERE kind = 6;

CREATE TABLE login(
	n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, time INTEGER NOT NULL, ip BLOB, port INTEGER,
	severity INTEGER NOT NULL, usual INTEGER NOT NULL, source INTEGER NOT NULL, digest INTEGER,
	g_host INTEGER, g_user INTEGER, g_user_host INTEGER, g_address INTEGER, g_network INTEGER,
	g_country INTEGER, g_key INTEGER, g_detail INTEGER);
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

-- Other ids of a login: what it was called before two sources turned out to
-- speak of the same.
CREATE TABLE alias(id TEXT PRIMARY KEY, login INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX alias_login ON alias(login);

CREATE TABLE digest(n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, before INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0);

CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
