package config

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// destinationTypes is how an error lists all types of destinations.
func destinationTypes() string {
	var names []string
	for _, t := range channel.Types() {
		names = append(names, t.Name)
	}
	return strictoml.OneOf(names)
}

// Each row is a settings file, and what is said of it: lines of
// "LINE:COL: KEY: message", and below an error its hint. The file has mode
// 0600, or what the row says.
func TestBadSettings(t *testing.T) {
	rows := []struct {
		situation, file, want string
		open                  bool
	}{
		// TOML itself
		{"no closing quote", "host = \"a\n", "1:10: basic strings cannot have new lines", false},
		{"a curly quote", "notify = “all”\n", "1:10: a curly quote “\n  text stands in straight quotes: key = \"value\"", false},
		{"a word without quotes", "# x\nnotify = all\n", "2:10: no value\n  text stands in quotes: key = \"value\"", false},
		{"no equals sign", "host 'a'\n", "1:6: expected '=' after key", false},
		{"a key twice", "host='a'\nlabels={}\nhost='b'\n", "3:1: host: already set above", false},
		{"a table twice", "[risk]\n[group]\n[risk]\n", "3:2: risk: already set above", false},
		{"a key twice in an inline table", "labels={a='1',a='2'}\n", "1:1: labels: already set above", false},
		{"a number that no machine holds", "[risk]\nred_above=99999999999999999999\n", "2:11: not a valid number or date", false},
		{"a byte that is no UTF-8", "\nhost='\xff'\n", "2:7: invalid UTF-8 character in literal string", false},
		{"the file of another program", "<?xml version='1.0'?>\n", "1:1: invalid character at start of key: U+003C '<'", false},

		// keys
		{"a key mistyped", "hsot='a'\n", "1:1: hsot: unknown key\n  did you mean \"host\"?", false},
		{"a key mistyped in a table", "[enrich]\n  cahce_ttl = '1h'\n", "2:3: enrich.cahce_ttl: unknown key\n  did you mean \"cache_ttl\"?", false},
		{"a table mistyped", "[destinations.slack]\ntype='log'\n", "1:2: destinations: unknown key\n  did you mean \"destination\"?", false},
		{"a key with a dot mistyped", "enrich.timeuot='1s'\n", "1:8: enrich.timeuot: unknown key\n  did you mean \"timeout\"?", false},
		{"a key that is like no other", "[group]\npolicy='x'\n", "2:1: group.policy: unknown key\n  known here: window", false},
		{"a line added at the end", "[group]\nwindow='1m'\nhost='a'\n", "3:1: group.host: unknown key\n  if it is not meant for group, put it before the first [table] of the file", false},
		{"an unknown key with odd characters", "\"a b\" = 1\n", "1:1: \"…\": unknown key\n" + knownAtTop, false},
		{"several at once", "hsot='a'\n[risk]\nred=1\n", "1:1: hsot: unknown key\n  did you mean \"host\"?\n3:1: risk.red: unknown key\n  known here: red_above, yellow_above", false},

		// plain values
		{"a number for a text", "host=1\n", "1:1: host: must be text in quotes, not a whole number", false},
		{"a text for a number", "[risk]\nred_above='70'\n", "2:1: risk.red_above: must be a whole number, not text in quotes", false},
		{"a fraction for a number", "[risk]\nred_above=0.7\n", "2:1: risk.red_above: must be a whole number, not a fraction", false},
		{"a value for a table", "risk=1\n", "1:1: risk: must be a table, not a whole number", false},
		{"an empty host", "host=''\n", "1:1: host: must be one line of 1 to 253 visible characters, not empty", false},
		{"a host of two lines", "host='''a\nb'''\n", "1:1: host: must be one line of 1 to 253 visible characters", false},
		{"a host that hides a character", "host=\"a\\u202eb\"\n", "1:1: host: must be one line of 1 to 253 visible characters", false},
		{"a label that is a number", "labels={a=1}\n", "1:9: labels.a: must be text in quotes, not a whole number", false},
		{"a label with a bad name", "[labels]\n\"a b\"='1'\n", "2:1: labels.\"…\": the name of a label is made of 1 to 32 letters, digits, _ and -", false},
		{"an empty label", "[labels]\nenv=''\n", "2:1: labels.env: must be one line of 1 to 64 visible characters, not empty", false},
		{"too many labels", "[labels]\n" + strings.Join(strings.Split("abcdefghijklmnopq", ""), "='x'\n") + "='x'\n", "1:2: labels: at most 16 labels", false},
		{"notify without a memory", "\nnotify='unusual'\n[history]\nenabled=false\n", "2:1: notify: \"unusual\" needs the memory that history.enabled = false turns off\n  notify = \"all\"", false},
		{"notify something else", "notify='al'\n", "1:1: notify: must be auto, unusual or all, not \"al\"\n  did you mean \"all\"?", false},
		{"no such time zone", "time_zone='Europe/Nowhere'\n", "1:1: time_zone: no such time zone\n" + zoneHint, false},
		{"an empty time zone", "time_zone=''\n", "1:1: time_zone: no such time zone\n" + zoneHint, false},
		{"the zone Local", "time_zone='Local'\n", "1:1: time_zone: no such time zone\n" + zoneHint, false},
		{"a zone that is a path", "time_zone='../../etc/passwd'\n", "1:1: time_zone: no such time zone\n" + zoneHint, false},
		{"a relative folder", "spool_dir='spool'\nstate_dir='./x'\n", "1:1: spool_dir: must be a path from the root (/…), not \"spool\"\n2:1: state_dir: must be a path from the root (/…), not \"./x\"", false},

		// durations
		{"a duration that is a number", "[group]\nwindow=10\n", "2:1: group.window: must be a duration, not a whole number\n" + durationHint, false},
		{"a duration without a unit", "[enrich]\ntimeout='3'\n", "2:1: enrich.timeout: must be a duration, not \"3\"\n" + durationHint, false},
		{"a time-out of nothing", "[enrich]\ntimeout='0s'\n", "2:1: enrich.timeout: must be more than 0 and at most 1m, not \"0s\"", false},
		{"a time-out below nothing", "[enrich]\ntimeout='-1s'\n", "2:1: enrich.timeout: must be more than 0 and at most 1m, not \"-1s\"", false},
		{"a time-out too long", "[enrich]\ntimeout='61s'\n", "2:1: enrich.timeout: must be more than 0 and at most 1m, not \"61s\"", false},
		{"a cache too long", "[enrich]\ncache_ttl='721h'\n", "2:1: enrich.cache_ttl: must be more than 0 and at most 30d, not \"721h\"", false},
		{"a window too long", "[group]\nwindow='25h'\n", "2:1: group.window: must be from 0s to 1d, not \"25h\"", false},
		{"a window below nothing", "[group]\nwindow='-1ns'\n", "2:1: group.window: must be from 0s to 1d, not \"-1ns\"", false},

		// thresholds
		{"a threshold too low", "[risk]\n\n\tyellow_above=-1\n", "3:2: risk.yellow_above: must be from 0 to 100, not \"-1\"", false},
		{"thresholds the wrong way round", "[risk]\nred_above=20\nyellow_above=50\n", "3:1: risk.yellow_above: yellow_above (50) must be less than red_above (20)", false},
		{"a threshold beyond the other's default", "[risk]\nyellow_above=67\n", "2:1: risk.yellow_above: yellow_above (67) must be less than red_above (67)", false},
		{"a red threshold below yellow's default", "[risk]\nred_above=10\n", "2:1: risk.red_above: yellow_above (34) must be less than red_above (10)", false},

		// people, logins, links
		{"a fingerprint cut off", "[people]\nalice=[\n  'SHA256:abc',\n]\n", "3:3: people.alice: must be a key: its fingerprint (SHA256: and 43 characters), or its line of authorized_keys or a .pub file\n  ssh-keygen -lf FILE.pub shows the fingerprint", false},
		{"an authority's key", "[person.alice]\nkeys=['cert-authority ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f']\n", "2:7: person.alice.keys: the key of a certificate authority is no person's\n  the keys that it signs are known by their certificates: leave it out", false},
		{"a key by its fingerprint and by its line", "[person]\na.keys=['SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA']\nb.keys=['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f']\n", "3:9: person.b.keys: already used in line 2", false},
		{"a person who is no list", "[people]\nalice='SHA256:abc'\n", "2:1: people.alice: must be a list, not text in quotes\n  a list stands in brackets, also of one: [\"…\"]", false},
		{"a key of two people", "[people]\na=['" + somebody + "']\nb=['" + somebody + "']\n", "3:4: people.b: already used in line 2", false},
		{"a person without a name", "[people]\n\"\"=[]\n", "2:1: people.\"…\": the name of a person must be one line of 1 to 64 visible characters", false},
		{"a key of two people, one as before", "[people]\na=['" + somebody + "']\n[person.b]\nkeys=['" + somebody + "']\n", "4:7: person.b.keys: already used in line 2", false},
		{"a person twice", "[people]\na=[]\n[person.a]\nkeys=[]\n", "3:9: person.a: already used in line 2", false},
		{"a person without a table", "[person]\na=['" + somebody + "']\n", "2:1: person.a: must be a table, not a list", false},
		{"a person who can't be reached", "[person.a]\nphone='0155'\nslack='alice'\nemail='alice'\nkeys=['x']\n",
			"2:1: person.a.phone: must be an international number such as \"+35315550123\"\n3:1: person.a.slack: must be the id of a member (U and letters or digits)\n  in Slack: the member's profile, More, Copy member ID\n" +
				"4:1: person.a.email: must be an address such as \"alice@example.com\"\n5:7: person.a.keys: must be a key: its fingerprint (SHA256: and 43 characters), or its line of authorized_keys or a .pub file\n  ssh-keygen -lf FILE.pub shows the fingerprint", false},
		{"no such way of logouts", "[login]\nnotify_logout='alert'\n", "2:1: login.notify_logout: must be all, alerted or none, not \"alert\"\n  did you mean \"alerted\"?", false},
		{"a user who is a number", "[login]\nignore_users=['a', 7]\n", "2:20: login.ignore_users: must be text in quotes, not a whole number", false},
		{"a user who is a list", "[login]\nignore_users=[['a']]\n", "2:1: login.ignore_users: must be text in quotes, not a list", false},
		{"a network too narrow", "[login]\nignore_networks=['192.0.2.0/28',\n'192.0.2.0/33']\n", "3:1: login.ignore_networks: must be a network such as \"192.0.2.0/28\", or an address, not \"192.0.2.0/33\"", false},
		{"a host name for a network", "[login]\nignore_networks=['example.com']\n", "2:18: login.ignore_networks: must be a network such as \"192.0.2.0/28\", or an address, not \"example.com\"", false},
		{"an address of one link", "[login]\nignore_networks=['fe80::1%eth0']\n", "2:18: login.ignore_networks: must be a network such as \"192.0.2.0/28\", or an address", false},
		{"IPv4 in IPv6, and more of IPv6", "[login]\nignore_networks=['::ffff:192.0.2.0/90']\n", "2:18: login.ignore_networks: must be a network such as \"192.0.2.0/28\", or an address, not \"::ffff:192.0.2.0/90\"", false},
		{"a ping URL that others can read", "[heartbeat]\nurl='https://hc-ping.com/uuid'\n", "2:1: heartbeat.url: a secret stands here, and others can read this file\n  chmod o-r DIR/config.toml", true},
		{"a ping URL without TLS", "[heartbeat]\nurl='http://hc.example.com/uuid'\n", "2:1: heartbeat.url: http:// is allowed to this machine only, use https://", false},
		{"a ping URL with its end", "[heartbeat]\nurl='https://hc-ping.com/uuid/start'\n", "2:1: heartbeat.url: must be the ping URL alone, without /start", false},
		{"a fail URL where none is used", "[heartbeat]\nurl='https://hc-ping.com/uuid'\nfail_url='https://hc-ping.com/x'\n", "3:1: heartbeat.fail_url: is of protocol = \"get\" alone\n  healthchecks has /fail at the end of url, which is added where it is needed", false},
		{"a fail URL alone", "[heartbeat]\nprotocol='get'\nfail_url='https://hc-ping.com/x'\n", "3:1: heartbeat.fail_url: needs url", false},
		{"too many heartbeats", "[heartbeat]\nevery='10s'\n", "2:1: heartbeat.every: must be from 1m to 1d, not \"10s\"", false},
		{"a report on no day", "[report]\nevery='someday 08:00'\n", "2:1: report.every: " + weeklyError, false},
		{"a report at no time", "[report]\nevery='mon'\n", "2:1: report.every: " + weeklyError + ", not \"mon\"", false},
		{"a report at the end of a day", "[report]\nevery='mon 24:00'\n", "2:1: report.every: " + weeklyError, false},
		{"a report at two times", "[report]\nevery='mon 08:00 09:00'\n", "2:1: report.every: " + weeklyError, false},
		{"a report at a number", "[report]\nevery=7\n", "2:1: report.every: must be text in quotes, not a whole number", false},
		{"a report of a minute", "[report]\nevery='08:00'\nsince='1m'\n", "3:1: report.since: must be from 1h to 3650d, not \"1m\"", false},
		{"a link of a report that is none", "[report]\nevery='08:00'\nurl='hub.example.com'\n", "3:1: report.url: must be a link: http:// or https://, a host, no user name, at most 500 characters\n  url = \"https://hub.example.com:8443/report\"", false},
		{"a link of a report with a password", "[report]\nevery='08:00'\nurl='https://u:p@hub.example.com/'\n", "3:1: report.url: must be a link: http:// or https://, a host, no user name, at most 500 characters\n  url = \"https://hub.example.com:8443/report\"", false},
		{"of a report that never goes out", "[report]\nmask=true\n", "2:1: report.mask: is of the report that every asks for\n  every = \"mon 08:00\"", false},
		{"a report to nobody that there is", "[destination.log]\n[report]\nevery='08:00'\ndestination='slack'\n", "4:1: report.destination: must be the name of a destination, not \"slack\"\n  destinations: log", false},
		{"a report of no memory", "[history]\nenabled=false\n[report]\nevery='08:00'\n", "4:1: report.every: needs the memory that history.enabled = false turns off\n  leave one of them out", false},
		{"a report of a key that there is not", "[report]\nevry='08:00'\n", "2:1: report.evry: unknown key\n  did you mean \"every\"?", false},
		{"who gets no message", "[heartbeat]\ndestination='log'\n", "2:1: heartbeat.destination: is of the message that message asks for\n  message = \"daily\"", false},
		{"a message to nobody that there is", "[destination.log]\n[heartbeat]\nmessage='daily'\ndestination='slack'\n", "4:1: heartbeat.destination: must be the name of a destination, not \"slack\"\n  destinations: log", false},
		{"metrics for everybody", "[metrics]\nlisten='0.0.0.0:9847'\n", "2:1: metrics.listen: must be an address of loopback: everybody who reaches it can read the figures\n  listen = \"127.0.0.1:9847\"; who scrapes from elsewhere needs a proxy with TLS and a log-in, or the node exporter", false},
		{"metrics for a network", "[metrics]\nlisten='192.0.2.1:9847'\n", "2:1: metrics.listen: must be an address of loopback: everybody who reaches it can read the figures\n  listen = \"127.0.0.1:9847\"; who scrapes from elsewhere needs a proxy with TLS and a log-in, or the node exporter", false},
		{"metrics without an address", "[metrics]\nlisten=':9847'\n", "2:1: metrics.listen: must be an address of loopback and a port\n  listen = \"127.0.0.1:9847\"; who scrapes from elsewhere needs a proxy with TLS and a log-in, or the node exporter", false},
		{"metrics at a name, which may lead anywhere", "[metrics]\nlisten='localhost:9847'\n", "2:1: metrics.listen: must be an address of loopback and a port\n  listen = \"127.0.0.1:9847\"; who scrapes from elsewhere needs a proxy with TLS and a log-in, or the node exporter", false},
		{"a runbook on disk", "[links]\nrunbook='file:///etc/motd'\n", runbookError, false},
		{"a runbook with a password", "[links]\nrunbook='https://a:b@example.com/'\n", runbookError, false},
		{"a runbook with Slack's markup", "[links]\nrunbook='https://example.com/|x>'\n", runbookError, false},

		// providers
		{"a provider without a type", "[provider.geo]\npath='/x'\n", "1:11: provider.geo: type is missing, and its name is none: " + types + "\n  type = \"…\" names one of these; there are no others", false},
		{"a provider's name mistyped", "[provider.threatjamer]\n", "1:11: provider.threatjamer: type is missing, and its name is none: " + types + "\n  did you mean \"threatjammer\"?", false},
		{"a provider of an unknown type", "[provider.geo]\ntype='mmbd'\npath='/x'\n", "2:1: provider.geo.type: must be " + types + ", not \"mmbd\"\n  did you mean \"mmdb\"?", false},
		{"a provider with nothing", "\n[provider.threatjammer]\n", "2:11: provider.threatjammer: url is missing\n  url = \"https://…\", the address of a service that speaks Threat Jammer's API; that of its makers has changed hands\n2:11: provider.threatjammer: api_key or api_key_file is missing", false},
		{"a provider without TLS", "[provider.threatjammer]\nurl='http://example.com'\napi_key='k'\n", "2:1: provider.threatjammer.url: http:// is allowed to this machine only, use https://", false},
		{"a provider with a query", "[provider.threatjammer]\nurl='https://example.com/?key=k'\napi_key='k'\n", "2:1: provider.threatjammer.url: the URL must end before any ? or #", false},
		{"a provider that is a value", "provider.threatjammer='x'\n", "1:10: provider.threatjammer: must be a table, not text in quotes\n  write [provider.NAME] above it", false},

		// switches
		{"a switch in quotes", "[history]\nenabled='true'\n", "2:1: history.enabled: must be true or false, not text in quotes", false},
		{"a switch for a text", "host=true\n", "1:1: host: must be text in quotes, not true or false", false},

		// memory
		{"a memory of no days", "[history]\nkeep='0d'\n", "2:1: history.keep: must be from 1d to 3650d, not \"0d\"", false},
		{"a memory of an hour", "[history]\nkeep='1h'\nlearning='0s'\n", "2:1: history.keep: must be from 1d to 3650d, not \"1h\"", false},
		{"a memory longer than computers last", "[history]\nkeep='3651d'\n", "2:1: history.keep: must be from 1d to 3650d, not \"3651d\"", false},
		{"days below nothing", "[history]\nkeep='-5d'\n", "2:1: history.keep: must be a duration, not \"-5d\"\n" + durationHint, false},
		{"half days", "[history]\nkeep='1.5d'\n", "2:1: history.keep: must be a duration, not \"1.5d\"\n" + durationHint, false},
		{"days after hours", "[history]\nkeep='5h1d'\n", "2:1: history.keep: must be a duration, not \"5h1d\"\n" + durationHint, false},
		{"days less hours", "[history]\nkeep='5d-1h'\n", "2:1: history.keep: must be a duration, not \"5d-1h\"\n" + durationHint, false},
		{"days beyond all", "[history]\nkeep='99999999d'\n", "2:1: history.keep: must be a duration, not \"99999999d\"\n" + durationHint, false},
		{"learning for longer than is kept", "[history]\nlearning='3d'\nkeep='2d'\n", "2:1: history.learning: learning (3d) must not be longer than keep (2d)", false},
		{"kept for less than learning's default", "[history]\nkeep='36h'\n", "2:1: history.keep: learning (7d) must not be longer than keep (36h)", false},
		{"learning for a year", "[history]\nlearning='365d'\n", "2:1: history.learning: must be from 0d to 90d, not \"365d\"", false},
		{"a digest at an hour without minutes", "[digest]\nhour='8'\n", "2:1: digest.hour: must be a time of day such as \"08:00\", not \"8\"", false},
		{"a digest at seven, not in full", "[digest]\nhour='7:00'\n", "2:1: digest.hour: must be a time of day such as \"08:00\", not \"7:00\"", false},
		{"a digest at an hour that no day has", "[digest]\nhour='24:00'\n", "2:1: digest.hour: must be a time of day such as \"08:00\", not \"24:00\"", false},
		{"a digest at a number", "[digest]\nhour=8\n", "2:1: digest.hour: must be text in quotes, not a whole number", false},
		{"something that is never new", "[raise]\nnew_contry='high'\n", "2:1: raise.new_contry: unknown key\n  did you mean \"new_country\"?", false},
		{"raised to what is no severity", "[raise]\nnew_key='hgih'\n", "2:1: raise.new_key: must be none, low, medium, high or critical, not \"hgih\"\n  did you mean \"high\"?", false},
		{"raised by a switch", "[raise]\nnew_key=false\n", "2:1: raise.new_key: must be text in quotes, not true or false", false},

		// groups, networks
		{"a group that is one user", "[groups]\nadmins='alice'\n", "2:1: groups.admins: must be a list, not text in quotes\n  a list stands in brackets, also of one: [\"…\"]", false},
		{"a group with a bad name", "[groups]\n\"a b\"=['x']\n", "2:1: groups.\"…\": the name of a group is made of 1 to 32 letters, digits, _ and -", false},
		{"a group with an empty user", "[groups]\na=['x', '']\n", "2:9: groups.a: must be one line of 1 to 128 visible characters, not empty", false},
		{"a network with a bad name", "[networks]\n\"192.0.2.1\"=['192.0.2.0/28']\n", "2:1: networks.\"…\": the name of a network is made of 1 to 32 letters, digits, _ and -", false},
		{"a named network that is none", "[networks]\noffice=['192.0.2.0/28',\n 'the office']\n", "3:2: networks.office: must be a network such as \"192.0.2.0/28\", or an address, not \"the office\"", false},
		{"a network with two names", "[networks]\na=['192.0.2.0/28']\nb=['192.0.2.1/28']\n", "3:4: networks.b: already used in line 2", false},

		// more providers
		{"a service without its key", "[provider.abuseipdb]\n", "1:11: provider.abuseipdb: api_key or api_key_file is missing", false},
		{"a key for a service that takes none", "[provider.internetdb]\napi_key='k'\n", "2:1: provider.internetdb.api_key: unknown key\n  known here: per_day, per_minute, per_month, per_week, type, url", false},
		{"a quota of nothing", "[provider.greynoise]\nper_day=0\n", "2:1: provider.greynoise.per_day: must be from 1 to 100000000, not \"0\"", false},
		{"a quota in words", "[provider.greynoise]\nper_week='50'\n", "2:1: provider.greynoise.per_week: must be a whole number, not text in quotes", false},
		{"a service of one's own without its file", "[provider.http]\n", "1:11: provider.http: file is missing", false},
		{"a service of one's own, no file", "[provider.http]\nfile=''\n", "2:1: provider.http.file: must be the path of a file", false},
		{"a file in a home", "[provider.http]\nfile='~/ours.toml'\n", "2:1: provider.http.file: must be a path without ~, which only a shell understands", false},
		{"a secret's file that is not there", "[destination.slack]\nwebhook_url_file='slack.url'\n", "2:1: destination.slack.webhook_url_file: no such file or directory, looked for in DIR", false},
		{"a data base without its path", "[provider.mmdb]\n", "1:11: provider.mmdb: path is missing", false},
		{"a data base at a URL", "[provider.mmdb]\nurl='https://example.com/x.mmdb'\npath='/x'\n", "2:1: provider.mmdb.url: unknown key\n  known here: path, type", false},
		{"a list of nowhere", "[provider.list]\n", "1:11: provider.list: path, url or url_file is missing", false},
		{"a list in two places", "[provider.list]\nurl='https://example.com/x'\npath='/x'\n", "2:1: provider.list.url: path is set as well\n  leave one of them out", false},
		{"a list over plain http", "[provider.list]\nurl='http://example.com/x'\n", "2:1: provider.list.url: http:// is allowed to this machine only, use https://", false},
		{"a list whose URL has a token, in an open file", "[provider.list]\nurl='https://example.com/x?token=" + plantedKey + "'\n", "2:1: provider.list.url: a secret stands here, and others can read this file\n  chmod o-r DIR/config.toml", true},
		{"a list whose URL is in a file that is missing", "[provider.list]\nurl_file='DIR/none'\n", "2:1: provider.list.url_file: no such file or directory", false},
		{"a list that is always fetched", "[provider.list]\nurl='https://example.com/x'\nrefresh='1m'\n", "3:1: provider.list.refresh: must be from 10m to 30d, not \"1m\"", false},
		{"a file that is fetched", "[provider.list]\npath='/x'\nrefresh='1h'\n", "3:1: provider.list.refresh: is for lists with a url\n  a file is read anew when it changes", false},
		{"a list's score too high", "[provider.list]\npath='/x'\nscore=101\n", "3:1: provider.list.score: must be from 0 to 100, not \"101\"", false},
		{"a list of an unknown sort", "[provider.list]\npath='/x'\ntrait='botnet'\n", "3:1: provider.list.trait: must be tor, vpn, proxy, hosting or mobile, not \"botnet\"", false},
		{"a list of bad friends", "[provider.list]\npath='/x'\nallow=true\nscore=50\n", "3:1: provider.list.allow: a list of those who are expected has no score\n  leave one of them out", false},
		{"a list without a label", "[provider.list]\npath='/x'\nlabel=''\n", "3:1: provider.list.label: must be one line of 1 to 60 visible characters, not empty", false},
		{"Team Cymru with a key", "[provider.cymru]\napi_key='k'\n", "2:1: provider.cymru.api_key: unknown key\n  known here: type", false},
		{"the built-in database, on and off", "[provider.builtin]\n[enrich]\nbuiltin=false\n", "1:11: provider.builtin: enrich.builtin = false turns it off\n  leave one of them out", false},

		// rules
		{"a rule that is a table", "[rule]\nignore=true\n", "1:2: rule: must be a list of tables, not a table\n  write [[rule]]", false},
		{"rules that are no tables", "rule=['x']\n", "1:7: rule: must be a table, not text in quotes", false},
		{"a rule that does nothing", "[[rule]]\nuser='a'\n", "1:3: rule: the rule does nothing\n  severity = \"high\", ignore = true, destination = [\"…\"] or reason = \"…\"", false},
		{"a rule that does too much", "[[rule]]\nuser='a'\nignore=true\nseverity='high'\n", "3:1: rule.ignore: what is ignored has no severity and no destination\n  leave one of them out", false},
		{"rules after one for all", "[[rule]]\nseverity='low'\n[[rule]]\nuser='a'\nignore=true\n[[rule]]\nuser='b'\nignore=true\n",
			"3:3: rule: never tried: the rule in line 1 matches every login\n  put it before that one\n6:3: rule: never tried: the rule in line 1 matches every login\n  put it before that one", false},
		{"two rules of one name", "[[rule]]\nname='x'\nuser='a'\nignore=true\n[[rule]]\nname='x'\nuser='b'\nignore=true\n", "6:1: rule.name: already used in line 2", false},
		{"a rule's key mistyped", "[[rule]]\nusr='a'\nignore=true\n", "2:1: rule.usr: unknown key\n  did you mean \"user\"?", false},
		{"a rule for no user", "[[rule]]\nuser=[]\n" + does, "2:1: rule.user: must not be empty\n  leave it out", false},
		{"a rule for a number", "[[rule]]\nuser=7\n" + does, "2:1: rule.user: must be text in quotes or a list of such, not a whole number", false},
		{"a rule for a number in a list", "[[rule]]\nuser=['a',7]\n" + does, "2:11: rule.user: must be text in quotes, not a whole number", false},
		{"a rule for a group mistyped", "[groups]\nadmins=['a']\n[[rule]]\ngroup=['admin']\n" + does, "4:8: rule.group: must be a name of [groups], not \"admin\"\n  did you mean \"admins\"?", false},
		{"a rule for a group, and there are none", "[[rule]]\ngroup='wheel'\n" + does, "2:1: rule.group: must be a name of [groups], not \"wheel\"\n  the settings name no groups", false},
		{"a rule for a network mistyped", "[networks]\noffice=['192.0.2.0/28']\n[[rule]]\nnetwork='offcie'\n" + does, "4:1: rule.network: " + networkError + ", not \"offcie\"\n  did you mean \"office\"?", false},
		{"a rule for a network that is like no other", "[[rule]]\nnetwork=['192.0.2.0/33']\n" + does, "2:10: rule.network: " + networkError + ", not \"192.0.2.0/33\"\n  networks: Tailscale", false},
		{"a rule for a country in small letters", "[[rule]]\ncountry='bg'\n" + does, "2:1: rule.country: must be a country's code of two letters (ISO 3166-1), such as \"IE\", not \"bg\"\n  did you mean \"BG\"?", false},
		{"a rule for a country by its name", "[[rule]]\ncountry='Bulgaria'\n" + does, "2:1: rule.country: must be a country's code of two letters (ISO 3166-1), such as \"IE\", not \"Bulgaria\"", false},
		{"a rule for a country that is not", "[[rule]]\ncountry='UK'\n" + does, "2:1: rule.country: must be a country's code of two letters (ISO 3166-1), such as \"IE\", not \"UK\"", false},
		{"a rule for system 0", "[[rule]]\nasn=0\n" + does, "2:1: rule.asn: " + asnError + ", not \"0\"", false},
		{"a rule for systems, odd ones", "[[rule]]\nasn=['AS1.2', 4294967296, true]\n" + does,
			"2:6: rule.asn: " + asnError + ", not \"AS1.2\"\n2:15: rule.asn: " + asnError + ", not \"4294967296\"\n2:27: rule.asn: " + asnError + ", not true or false", false},
		{"a rule for no systems", "[[rule]]\nasn=[]\n" + does, "2:1: rule.asn: must not be empty\n  leave it out", false},
		{"a rule for a label without a value", "[[rule]]\nlabel='env'\n" + does, "2:1: rule.label: must be a label and its value, such as \"env=prod\"", false},
		{"a rule for labels as a table", "[[rule]]\nlabel={env='prod'}\n" + does, "2:1: rule.label: must be text in quotes, not a table", false},
		{"a rule for a person mistyped", "[people]\nalice=['" + somebody + "']\n[[rule]]\nkey='alcie'\n" + does, "4:1: rule.key: must be the fingerprint of a key (SHA256: and 43 characters) or the name of a person, not \"alcie\"\n  did you mean \"alice\"?", false},
		{"a rule for a fingerprint cut off", "[[rule]]\nkey='SHA256:abc'\n" + does, "2:1: rule.key: must be the fingerprint of a key (SHA256: and 43 characters) or the name of a person, not \"SHA256:abc\"\n  the settings name no people", false},
		{"a person who is wrong is told once", "[people]\nalice=['x']\n[[rule]]\nkey='alice'\n" + does, "2:8: people.alice: must be a key: its fingerprint (SHA256: and 43 characters), or its line of authorized_keys or a .pub file\n  ssh-keygen -lf FILE.pub shows the fingerprint", false},
		{"a rule for hours without minutes", "[[rule]]\nhours=['mon-fri',\n'22-06']\n" + does, "3:1: rule.hours: " + hoursError + ", not \"22-06\"", false},
		{"a rule for hours that are none", "[[rule]]\nhours='08:00-08:00'\n" + does, "2:1: rule.hours: " + hoursError + ", not \"08:00-08:00\"", false},
		{"a rule for Tor, in words", "[[rule]]\ntor='yes'\n" + does, "2:1: rule.tor: must be true or false, not text in quotes", false},
		{"a rule for a risk too high", "[[rule]]\nmin_risk=101\n" + does, "2:1: rule.min_risk: must be from 0 to 100, not \"101\"", false},
		{"a rule with a severity mistyped", "[[rule]]\nseverity='hihg'\n", "2:1: rule.severity: must be low, medium, high or critical, not \"hihg\"\n  did you mean \"high\"?", false},
		{"a rule for a destination mistyped", "[destination.oncall]\ntype='log'\n[[rule]]\ndestination=['onclal']\n", "4:14: rule.destination: must be the name of a destination, not \"onclal\"\n  did you mean \"oncall\"?", false},
		{"a rule for a destination, and there is only the system log", "[[rule]]\nuser='x'\ndestination='log'\n[[rule]]\ndestination='slack'\n", "5:1: rule.destination: must be the name of a destination, not \"slack\"\n  destinations: log", false},
		{"a rule with a reason of two lines", "[[rule]]\nreason=\"a\\nb\"\n", "2:1: rule.reason: must be one line of 1 to 200 visible characters", false},
		{"a webhook as a rule's destination", "[[rule]]\ndestination='" + plantedInline + "'\nuser='" + plantedInline + "\t'\n",
			"2:1: rule.destination: must be the name of a destination\n  destinations: log\n3:1: rule.user: must be one line of 1 to 128 visible characters", false},

		// destinations
		{"a destination of an unknown type", "[destination.a]\ntype='slak'\nfoo=1\n", "2:1: destination.a.type: must be " + destinationTypes() + ", not \"slak\"\n  did you mean \"slack\"?", false},
		{"a destination of no channel that there is", "[destination.pigeon]\nwebhook_url='https://example.com/'\n", "1:14: destination.pigeon: type is missing, and its name is none: " + destinationTypes() + "\n  type = \"…\" names one of these; there are no others", false},
		{"a destination's type that there is not", "[destination.oncall]\ntype='pigeon'\nwebhook_url='https://example.com/'\n", "2:1: destination.oncall.type: must be " + destinationTypes() + ", not \"pigeon\"", false},
		{"a program without a path", "[destination.a]\ntype='exec'\ncommand=['apprise']\ninput='xml'\n", "4:1: destination.a.input: must be json or text, not \"xml\"", false},
		{"a program looked for in PATH", "[destination.a]\ntype='exec'\ncommand=['apprise']\n", "3:1: destination.a.command: must begin with the absolute path of a program", false},
		{"a secret of a webhook that is none", "[destination.a]\ntype='webhook'\nurl='https://example.com/'\nsecret='hunter2'\n", "4:1: destination.a.secret: must be whsec_ and 24 to 64 bytes in base64\n  make one: printf 'whsec_%s\\n' \"$(openssl rand -base64 32)\"", false},
		{"a destination without a type", "[destination.oncall]\nwebhook_url='https://example.com/'\n", "1:14: destination.oncall: type is missing, and its name is none: " + destinationTypes() + "\n  type = \"…\" names one of these; there are no others", false},
		{"a destination with a bad name", "[destination.\"on call\"]\ntype='log'\n", "1:14: destination.\"…\": the name of a destination is made of 1 to 32 letters, digits, _ and -", false},
		{"destinations as a list", "[[destination]]\ntype='log'\n", "1:3: destination: must be a table of named tables, not a list\n  write [destination.NAME]", false},
		{"a destination without a name", "[destination]\ntype='log'\n", "2:1: destination.type: must be a table, not text in quotes\n  write [destination.NAME] above it", false},
		{"hours that never end", "[destination.log]\nquiet=['mon-sat','sun 00:00-24:00']\n", "2:1: destination.log.quiet: never ends: only what is critical would be told\n  min_severity = \"critical\" says that", false},
		{"reminders that nobody can end", "[history]\nenabled=false\n[destination.log]\nremind='15m'\n", "4:1: destination.log.remind: needs the memory that history.enabled = false turns off: nothing can be acknowledged\n  leave one of them out", false},
		{"hours in no zone", "[destination.log]\nquiet='22:00-07:00'\nquiet_zone='Dublin'\n", "3:1: destination.log.quiet_zone: no such time zone\n  a name of the IANA data base, such as \"Europe/Dublin\" or \"UTC\"; leave it out for that of time_zone", false},
		{"a template of a log's text", "[destination.log]\n[[destination.log.template]]\ntext='x'\n", "3:1: destination.log.template.text: this destination gets a headline, and no text\n  word the headline: headline = \"…\"", false},
		{"a template of what is published", "[publish]\ndestination='hook'\n[destination.hook]\ntype='file'\npath='/x'\n[[destination.hook.template]]\nheadline='x'\n", "6:20: destination.hook.template: what is published has words of its own\n  leave it out", false},
		{"templates with a name that is none, that could mention, and that say nothing", "[destination.slack]\nwebhook_url='https://example.com/'\n[[destination.slack.template]]\nkinds='login'\nheadline='{usr}'\n[[destination.slack.template]]\nmin_severity='high'\ntext='<@{user}>'\n[[destination.slack.template]]\nkinds='alert'\n",
			"5:1: destination.slack.template.headline: there is no {usr}\n  did you mean \"user\"?\n8:1: destination.slack.template.text: {user} may not stand within <…>, where it could name whom to mention, or a link\n  put it outside\n9:21: destination.slack.template: the template words nothing\n  headline = \"…\" or text = \"…\"", false},
		{"a template after one of every message", "[destination.slack]\nwebhook_url='https://example.com/'\n[[destination.slack.template]]\nheadline='x'\n[[destination.slack.template]]\nheadline='y'\n", "5:21: destination.slack.template: never tried: the template in line 3 is that of every message\n  put it before that one", false},
		{"a log with a webhook", "[destination.log]\nwebhook_url='https://example.com/'\n", "2:1: destination.log.webhook_url: unknown key\n  known here: digest, fallback, hosts, kinds, min_severity, networks, quiet, quiet_zone, remind, template, type, users", false},
		{"a fallback that is not there", "[destination.log]\nfallback='oncall'\n", "2:1: destination.log.fallback: must be the name of a destination, not \"oncall\"\n  destinations are: log", false},
		{"a fallback to itself", "[destination.log]\nfallback='log'\n", "2:1: destination.log.fallback: must be another destination", false},
		{"a bot beside a webhook", "[destination.slack]\nwebhook_url='https://hooks.slack.com/services/x'\ntoken='xoxb-1'\nchannel='#a'\n", "3:1: destination.slack.token: can't stand beside webhook_url\n  leave out one of the two", false},
		{"a bot without a channel", "[destination.slack]\ntoken='xoxb-1'\n", "1:14: destination.slack: channel is missing: a token does not say where to\n  write channel = \"#alerts\", or the id of a channel or a user", false},
		{"a token of a user", "[destination.slack]\ntoken='xoxp-1'\nchannel='#a'\n", "2:1: destination.slack.token: is not a bot token, which begins with xoxb-\n  copy the Bot User OAuth Token from OAuth & Permissions at https://api.slack.com/apps", false},
		{"answers for a webhook", "[destination.slack]\nwebhook_url='https://hooks.slack.com/services/x'\napp_token='xapp-1'\n", "1:14: destination.slack: app_token, ask, confirm, answers_from and respond_from are for a bot\n  write token_file, see docs/was-it-you.md", false},
		{"a bot's token for the app's", "[destination.slack]\ntoken='xoxb-1'\nchannel='#a'\napp_token='xoxb-1'\n", "4:1: destination.slack.app_token: is not an app-level token, which begins with xapp-\n  make one with the scope connections:write under Basic Information, App-Level Tokens, at https://api.slack.com/apps", false},
		{"asking without a socket", "[destination.slack]\ntoken='xoxb-1'\nchannel='#a'\nask='high'\n", "1:14: destination.slack: ask, confirm, answers_from and respond_from need app_token_file: without it nobody can press a button\n  see docs/was-it-you.md", false},
		{"answers from a name", "[destination.slack]\ntoken='xoxb-1'\nchannel='#a'\napp_token='xapp-1'\nanswers_from=['@alice']\n", "5:1: destination.slack.answers_from: \"@alice\" is not the id of a member (U and letters or digits)\n  in Slack: the member's profile, More, Copy member ID", false},
		{"two sockets", "[destination.slack]\ntoken='xoxb-1'\nchannel='#a'\napp_token='xapp-1'\n[destination.b]\ntype='slack'\ntoken='xoxb-1'\nchannel='#a'\napp_token='xapp-1'\n", "9:1: destination.b.app_token: destination.slack has one already: one place takes the answers\n  leave one of them out", false},
		{"answers without a memory", "[history]\nenabled=false\n[destination.slack]\ntoken='xoxb-1'\nchannel='#a'\napp_token='xapp-1'\n", "6:1: destination.slack.app_token: needs the memory that history.enabled = false turns off: nothing can be acknowledged\n  leave one of them out", false},
		{"a Slack without a webhook", "[destination.slack]\nmin_severity='low'\n", "1:14: destination.slack: webhook_url or webhook_url_file, or token or token_file is missing", false},
		{"a severity mistyped", "[destination.log]\nmin_severity='hihg'\n", "2:1: destination.log.min_severity: must be low, medium, high or critical, not \"hihg\"\n  did you mean \"high\"?", false},

		// secrets
		{"a key and its twin", "[destination.slack]\nwebhook_url_file='/x'\nwebhook_url='https://example.com/'\n", "2:1: destination.slack.webhook_url_file: webhook_url is set as well\n  leave one of them out", false},
		{"a webhook over plain http", "[destination.slack]\nwebhook_url='http://hooks.example.com/planted-inline-secret-0123456789abcdef'\n", "2:1: destination.slack.webhook_url: http:// is allowed to this machine only, use https://", false},
		{"a webhook that is no URL", "[destination.slack]\nwebhook_url='planted-inline-secret-0123456789abcdef'\n", "2:1: destination.slack.webhook_url: the URL must begin with https://", false},
		{"a webhook with a control character", "[destination.slack]\nwebhook_url=\"https://h/\\u007fplanted-inline-secret-0123456789abcdef\"\n", "2:1: destination.slack.webhook_url: the secret has a character in it that is not plain ASCII", false},
		{"a webhook that is a list", "[destination.slack]\nwebhook_url=['" + plantedInline + "']\n", "2:1: destination.slack.webhook_url: must be text in quotes, not a list", false},
		{"an empty secret", "[destination.slack]\nwebhook_url=' '\n", "2:1: destination.slack.webhook_url: the secret is empty", false},
		{"two secrets in one", "[provider.threatjammer]\nurl='https://example.com'\napi_key='''\n" + plantedKey + "\nb'''\n", "3:1: provider.threatjammer.api_key: the secret has white space in it", false},
		{"a path under the webhook's key", "[destination.slack]\nwebhook_url='/etc/sshnotify/slack.url'\n", "2:1: destination.slack.webhook_url: the URL must begin with https://\n  the path of a file that holds it stands under webhook_url_file", false},
		{"a webhook under the wrong key", "[destination.slack]\nwebhook_url_file='" + plantedInline + "'\nmin_severity='" + plantedInline + "'\n", "2:1: destination.slack.webhook_url_file: must be the path of a file that holds the URL\n  the URL itself stands under webhook_url\n3:1: destination.slack.min_severity: must be low, medium, high or critical", false},
		{"a webhook that is a key", "[destination.slack]\nwebhook_url='https://example.com/'\n\"" + plantedInline + "\"=1\n", "3:1: destination.slack.\"…\": unknown key\n  known here: answers_from, api_url, app_token, app_token_file, ask, channel, confirm, digest, fallback, hosts, kinds, min_severity, networks, quiet, quiet_zone, remind, respond_from, template, token, token_file, type, users, webhook_url, webhook_url_file", false},
		{"a proxy of an unknown kind", "[outbound]\nproxy='ftp://user:planted-proxy-password-0123456789ab@example.com'\n", "2:1: outbound.proxy: the proxy's URL must begin with http://, https:// or socks5://", false},
		{"certificates that are missing", "[outbound]\nca_file='/proc/nonexistent'\n", "2:1: outbound.ca_file: no such file or directory", false},
		{"certificates that are none", "[outbound]\nca_file='DIR/ok.key'\n", "2:1: outbound.ca_file: no certificate in PEM form in it", false},

		// files of secrets
		{"a secret's file that is missing", "[destination.slack]\nwebhook_url_file='DIR/none'\n", "2:1: destination.slack.webhook_url_file: no such file or directory", false},
		{"a secret's file that is a folder", "[destination.slack]\nwebhook_url_file='DIR'\n", "2:1: destination.slack.webhook_url_file: not a regular file", false},
		{"a secret's file that is a FIFO", "[destination.slack]\nwebhook_url_file='DIR/fifo'\n", "2:1: destination.slack.webhook_url_file: not a regular file", false},
		{"a secret's file that never ends", "[destination.slack]\nwebhook_url_file='/dev/zero'\n", "2:1: destination.slack.webhook_url_file: not a regular file", false},
		{"a secret's file that is empty", "[destination.slack]\nwebhook_url_file='DIR/empty'\n", "2:1: destination.slack.webhook_url_file: DIR/empty: the secret is empty", false},
		{"a secret's file of two lines", "[destination.slack]\nwebhook_url_file='DIR/two lines'\n", "2:1: destination.slack.webhook_url_file: DIR/two lines: the secret has white space in it", false},
		{"a secret's file that others can read", "[destination.slack]\nwebhook_url_file='DIR/two lines open'\n", "2:1: destination.slack.webhook_url_file: others can read DIR/two lines open\n  chmod o-r 'DIR/two lines open'", false},
		{"a secret's file with a bad URL", "[destination.slack]\nwebhook_url_file='DIR/ok.key'\n", "2:1: destination.slack.webhook_url_file: the URL must begin with https://", false},
		{"a credential without systemd", "[destination.slack]\nwebhook_url_file='credential:slack'\n", "2:1: destination.slack.webhook_url_file: systemd has passed no credentials to this process\n  the service's unit passes it: LoadCredential=slack:FILE", false},
		{"a credential that leads elsewhere", "[destination.slack]\nwebhook_url_file='credential:../shadow'\n", "2:1: destination.slack.webhook_url_file: credential: must be followed by a plain name", false},

		// who can read the settings
		{"a secret in an open file", "[destination.slack]\nwebhook_url='" + plantedInline + "'\n", "2:1: destination.slack.webhook_url: a secret stands here, and others can read this file\n  chmod o-r DIR/config.toml", true},
		{"two secrets in an open file", "[destination.a]\ntype='slack'\nwebhook_url='" + plantedInline + "'\n[destination.b]\ntype='slack'\nwebhook_url='" + plantedInline + "'\n", "3:1: destination.a.webhook_url: a secret stands here, and others can read this file\n  chmod o-r DIR/config.toml", true},
		{"a proxy with a password in an open file", "[outbound]\nproxy='" + plantedProxy + "'\n", "2:1: outbound.proxy: a secret stands here, and others can read this file\n  chmod o-r DIR/config.toml", true},
		{"a proxy without a password in an open file", "[outbound]\nproxy='http://proxy.example.com:3128'\n", "", true},
		{"the path of a secret in an open file", "[provider.threatjammer]\nurl='https://example.com'\napi_key_file='DIR/ok.key'\n", "", true},
	}
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if err := syscall.Mkfifo(dir+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "empty", " \n", 0o600)
	write(t, dir, "ok.key", plantedKey+"\n", 0o600)
	write(t, dir, "two lines", plantedWebhook+"\n"+plantedKey+"\n", 0o600)
	write(t, dir, "two lines open", plantedWebhook+"\n"+plantedKey+"\n", 0o604)
	for _, row := range rows {
		t.Run(row.situation, func(t *testing.T) {
			mode := os.FileMode(0o600)
			if row.open {
				mode = 0o644
			}
			path := write(t, dir, "config.toml", strings.ReplaceAll(row.file, "DIR", dir), mode)
			c, err := Load(path)
			var got strings.Builder
			for _, e := range strictoml.Errors(err) {
				got.WriteString(strings.TrimPrefix(e.Error(), path+":") + "\n")
				if e.Hint != "" {
					got.WriteString("  " + e.Hint + "\n")
				}
			}
			if diff := cmp.Diff(row.want, strings.TrimSuffix(strings.ReplaceAll(got.String(), dir, "DIR"), "\n")); diff != "" {
				t.Error(diff)
			}
			if row.want != "" && c.Files != nil {
				t.Error("settings together with an error")
			}
			checkNoSecret(t, err)
		})
	}
}

const (
	somebody     = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	zoneHint     = `  a name of the IANA data base, such as "Europe/Dublin" or "UTC"; leave it out for the machine's own`
	durationHint = `  a duration is a number with a unit, in quotes: "3s", "10m", "1h", "7d"`
	runbookError = `2:1: links.runbook: must be a link: http:// or https://, a host, no user name, at most 500 characters`
	knownAtTop   = "  known here: clock, destination, detector, digest, enrich, group, groups, heartbeat, history, host, hub, labels, links, login, metrics, networks, notify, ordinary_per_day, outbound, pattern, people, person, provider, publish, raise, report, respond, risk, rule, source, spool_dir, state_dir, time_zone, watch"
	types        = "mmdb, list, http, cymru, tor-dns, builtin, abuseipdb, crowdsec, crowdsec-lapi, greynoise, internetdb, ip-api, ip2location, ipinfo, ipinfo-core, ipqualityscore, spur, threatjammer or virustotal"
	networkError = `must be a network such as "192.0.2.0/28", an address, or a name of [networks]`
	weeklyError  = `must be days and a time such as "mon 08:00", "mon-fri 07:30" or "08:00"`
	hoursError   = `must be hours such as "22:00-06:00", "mon-fri 08:00-18:00" or "sat-sun"`
	asnError     = `must be the number of an autonomous system, such as 64500 or "AS64500"`
	does         = "ignore=true\n"
)
