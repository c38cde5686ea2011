-- At a hub: the hosts that hand over to it. Certificates with a serial number below
-- valid_from are refused, see fleet/hub; key is the SHA-256 of the newest one's, and
-- token that of a bearer token. numbering names the host's run of numbers, which is
-- its run-th here; all numbers of it up to have are here. beat is when the newest one
-- came, said what it said, told what was told of the host. changed orders the changes
-- of who may come in.
CREATE TABLE fleet_host(
	n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, changed INTEGER NOT NULL,
	joined INTEGER NOT NULL, valid_from INTEGER NOT NULL, revoked INTEGER, expires INTEGER, key BLOB, token BLOB, labels TEXT NOT NULL DEFAULT '{}',
	numbering TEXT NOT NULL DEFAULT '', run INTEGER NOT NULL DEFAULT 0, have INTEGER NOT NULL DEFAULT 0,
	beat INTEGER, said TEXT NOT NULL DEFAULT '{}', told TEXT NOT NULL DEFAULT '{}');
CREATE UNIQUE INDEX fleet_host_token ON fleet_host(token) WHERE token IS NOT NULL;
CREATE INDEX fleet_host_changed ON fleet_host(changed);

-- At a hub: tokens to join with, by their SHA-256; what says who may use it for what.
CREATE TABLE fleet_token(hash BLOB PRIMARY KEY, expires INTEGER NOT NULL, uses INTEGER NOT NULL, what TEXT NOT NULL) WITHOUT ROWID;

-- At a hub: what hosts handed over, by the id that the worker knows it by; number is
-- the host's, of its run-th numbering. claimed is 1 while a worker has it. data is
-- NULL once that is done with it, and the row then only tells a repeat.
CREATE TABLE fleet_event(
	n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, host INTEGER NOT NULL, run INTEGER NOT NULL, number INTEGER NOT NULL,
	time INTEGER NOT NULL, received INTEGER NOT NULL, claimed INTEGER NOT NULL DEFAULT 0, data BLOB);
CREATE INDEX fleet_event_waiting ON fleet_event(claimed, host, time) WHERE data IS NOT NULL;
CREATE INDEX fleet_event_number ON fleet_event(host, run, number);

-- At a host: what it hands over, by its number. acked is when the hub had it: until
-- then the event is in the spool as well.
CREATE TABLE fleet_sent(number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, time INTEGER NOT NULL, acked INTEGER, data BLOB);
CREATE INDEX fleet_sent_acked ON fleet_sent(acked) WHERE acked IS NOT NULL;

-- What was told of somebody is so of the host that they came to: what one host says
-- keeps no other's from being told. A pair that one or two hosts have reported yet, the
-- only, is usual there alone; NULL: none has, empty: more, or nobody knows.
ALTER TABLE pair ADD COLUMN only TEXT;
UPDATE pair SET only = '';
CREATE TABLE told(
	user TEXT NOT NULL, network TEXT NOT NULL, key TEXT NOT NULL, host TEXT NOT NULL,
	told INTEGER NOT NULL, told_id TEXT NOT NULL, told_severity INTEGER NOT NULL, told_reasons TEXT NOT NULL,
	PRIMARY KEY(user, network, key, host)) WITHOUT ROWID;
INSERT INTO told SELECT p.user, p.network, p.key, coalesce(h.a, ''), p.told, p.told_id, p.told_severity, p.told_reasons
	FROM pair p LEFT JOIN login l ON l.id = p.told_id LEFT JOIN grp h ON h.id = l.g_host WHERE p.told IS NOT NULL;
ALTER TABLE pair DROP COLUMN told;
ALTER TABLE pair DROP COLUMN told_id;
ALTER TABLE pair DROP COLUMN told_severity;
ALTER TABLE pair DROP COLUMN told_reasons;
ALTER TABLE alarm RENAME TO alarm_4;
CREATE TABLE alarm(
	user TEXT NOT NULL, place TEXT NOT NULL, key TEXT NOT NULL, host TEXT NOT NULL,
	told INTEGER NOT NULL, told_id TEXT NOT NULL, told_severity INTEGER NOT NULL, told_reasons TEXT NOT NULL, unanswered INTEGER NOT NULL,
	PRIMARY KEY(user, place, key, host)) WITHOUT ROWID;
INSERT INTO alarm SELECT a.user, a.place, a.key, coalesce(h.a, ''), a.told, a.told_id, a.told_severity, a.told_reasons, a.unanswered
	FROM alarm_4 a LEFT JOIN login l ON l.id = a.told_id LEFT JOIN grp h ON h.id = l.g_host;
DROP TABLE alarm_4;
