package config

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Rows as those of TestBadSettings.
func TestBadWatchSettings(t *testing.T) {
	const (
		det  = "[[detector]]\nname='a'\ncount=3\nwithin='1h'\n"
		pat  = "[[pattern]]\nname='a'\nmatch='x'\n"
		two  = "[destination.public]\ntype='log'\n[destination.oncall]\ntype='log'\n"
		json = "[[pattern]]\nname='a'\ndecoder='json'\n"
	)
	for _, row := range []struct {
		situation, file, want string
	}{
		{"notify mistyped", "[watch]\nnotify='eahc'\n",
			"2:1: watch.notify: must be digest or each, not \"eahc\"\n  did you mean \"each\"?"},
		{"an unknown key", "[watch]\nignore_user=['a']\n",
			"2:1: watch.ignore_user: unknown key\n  did you mean \"ignore_users\"?"},
		{"no network", "[watch]\nignore_networks=['a']\nstate_dir='x'\n",
			"2:18: watch.ignore_networks: must be a network such as \"192.0.2.0/28\", or an address, not \"a\"\n3:1: watch.state_dir: must be a path from the root (/…), not \"x\""},

		{"a source without a type", "[source.auth]\n",
			"1:9: source.auth: type is missing, and its name is none: file, journal or pipe\n  type = \"…\" names one of these; there are no others"},
		{"a file without a path", "[source.auth]\ntype='file'\n",
			"1:9: source.auth: path is missing"},
		{"a relative path", "[source.auth]\npath='auth.log'\n",
			"2:1: source.auth.path: must be a path from the root (/…), not \"auth.log\""},
		{"a file twice", "[source.a]\npath='/x'\n[source.b]\npath='/y/../x'\n",
			"4:1: source.b.path: already used in line 2"},
		{"the journal twice", "[source.journal]\n[source.b]\ntype='journal'\n",
			"2:9: source.b: the source in line 1 reads the journal already\n  write all of match there, with + between"},
		{"a journal with a path", "[source.journal]\npath='/x'\n",
			"2:1: source.journal.path: unknown key\n  known here: match, type"},
		{"an option as a match", "[source.journal]\nmatch=['--root=/x', '+', '+', 'A=', '/usr/bin/x']\n",
			"2:8: source.journal.match: must be a field and its value, such as \"_COMM=sshd\", or \"+\"\n2:26: source.journal.match: \"+\" stands between two others\n2:31: source.journal.match: must be a field and its value, such as \"_COMM=sshd\", or \"+\"\n2:37: source.journal.match: must be a field and its value, such as \"_COMM=sshd\", or \"+\", not \"/usr/bin/x\""},
		{"a file with a group", "[source.a]\npath='/x'\ngroup='adm'\n",
			"3:1: source.a.group: unknown key\n  known here: path, type"},
		{"a pipe with an odd group", "[source.pipe]\npath='/x'\ngroup='a b'\n",
			"3:1: source.pipe.group: must be the name of a group, not \"a b\""},

		{"an empty detector", "[[detector]]\n",
			"1:3: detector: name is missing\n1:3: detector: count is missing\n1:3: detector: within is missing"},
		{"a detector with a bad name", "[[detector]]\nname='Slow root'\ncount=3\nwithin='1h'\n",
			"2:1: detector.name: must be 1 to 32 letters from a to z, digits and -, not \"Slow root\"\n  name = \"slow-root\""},
		{"a detector twice", det + det,
			"6:1: detector.name: already used in line 2"},
		{"a detector out of bounds", "[[detector]]\nname='a'\ncount=0\nwithin='32d'\nby='adress'\ndistinct=65\n",
			"3:1: detector.count: must be from 1 to 1000, not \"0\"\n4:1: detector.within: must be from 1s to 31d, not \"32d\"\n5:1: detector.by: must be address, user or network, not \"adress\"\n  did you mean \"address\"?\n6:1: detector.distinct: must be from 0 to 64, not \"65\""},
		{"more different names than attempts", det + "distinct=4\n",
			"5:1: detector.distinct: must not be more than count (3)"},
		{"too short", "[[detector]]\nname='a'\ncount=3\nwithin='1ms'\n",
			"4:1: detector.within: must be from 1s to 31d, not \"1ms\""},
		{"no list", "[detector]\nname='a'\n",
			"1:2: detector: must be a list of tables, not a table\n  write [[detector]]"},

		{"an empty pattern", "[[pattern]]\n",
			"1:3: pattern: name is missing"},
		{"a pattern for all lines", "[[pattern]]\nname='a'\n",
			"1:3: pattern: neither match nor where says which lines: a match of \"\" takes all"},
		{"a pattern twice", pat + pat,
			"5:1: pattern.name: already used in line 2"},
		{"a broken expression", "[[pattern]]\nname='a'\nmatch='a(b'\nignore=['[', 'ok']\n",
			"3:1: pattern.match: not a regular expression: missing closing ) at \"a(b\"\n  in single quotes, a \\ stands for itself; https://golang.org/s/re2syntax says what there is\n4:9: pattern.ignore: not a regular expression: missing closing ] at \"[\"\n  in single quotes, a \\ stands for itself; https://golang.org/s/re2syntax says what there is"},
		{"an expression that repeats too much", "[[pattern]]\nname='a'\nmatch='(a{1000}){1000}'\n",
			"3:1: pattern.match: not a regular expression: invalid repeat count at \"{1000}\"\n  in single quotes, a \\ stands for itself; https://golang.org/s/re2syntax says what there is"},
		{"an expression with too many steps", "[[pattern]]\nname='a'\nmatch='(a{900}b)(c{900}d)(e{900}f)(g{900}h)(i{900}j)(k{900}l)(m{900}n)(o{900}p)(q{900}r)(s{900}t)(u{900}v)'\n",
			"3:1: pattern.match: the regular expression has 9935 steps, at most 2000 are taken: split it, or repeat less"},
		{"a capture that is not there", "[[pattern]]\nname='a'\nmatch='(?P<dev>x)'\ntitle='${dve}'\ntext='$x'\n",
			"4:1: pattern.title: unknown name \"dve\"; there are 0, dev, source, line, pattern, host, program, count, left_out\n5:1: pattern.text: a $ by itself: write $$ for one, or ${name}"},
		{"an address that is not there", pat + "ip='src'\n",
			"4:1: pattern.ip: unknown name \"src\"; there are 0, source, line, pattern, host, program"},
		{"a decoder mistyped", pat + "decoder='suricatta'\n",
			"4:1: pattern.decoder: must be json, csv, snort, snort3-csv, snort3-json or suricata, not \"suricatta\"\n  did you mean \"suricata\"?"},
		{"columns without a decoder", pat + "columns=['a']\n",
			"4:1: pattern.columns: only csv, snort and snort3-csv have columns"},
		{"a column twice", "[[pattern]]\nname='a'\ndecoder='csv'\ncolumns=['a','a']\nmatch='x'\n",
			"4:1: pattern.columns: \"a\" is there twice"},
		{"no columns", "[[pattern]]\nname='a'\ndecoder='csv'\nmatch='x'\n",
			"1:3: pattern: csv needs the names of its columns"},
		{"a threshold of an unknown type", pat + "threshold={type='limits', count=0, seconds=1, per='x'}\n",
			"4:12: pattern.threshold.type: must be limit, threshold or both, not \"limits\"\n  did you mean \"limit\"?\n4:27: pattern.threshold.count: must be from 1 to 1000000, not \"0\"\n4:47: pattern.threshold.per: unknown key\n  known here: by, count, seconds, type"},
		{"a threshold that is cut short", pat + "threshold={}\n",
			"4:1: pattern.threshold: type is missing\n4:1: pattern.threshold: count is missing\n4:1: pattern.threshold: seconds is missing"},
		{"a threshold too long", pat + "[pattern.threshold]\ntype='both'\ncount=1\nseconds=3_000_000\n",
			"7:1: pattern.threshold.seconds: must be from 1 to 2678400, not \"3_000_000\""},
		{"by without a threshold", pat + "by='${0}'\n",
			"4:1: pattern.by: nothing is counted without a threshold"},
		{"two ways to count", pat + "by='${0}'\nthreshold={type='both',count=1,seconds=1,by='${line}'}\n",
			"5:42: pattern.threshold.by: by is set as well, to something else\n  leave one of them out"},
		{"by of what is not there", pat + "threshold={type='both',count=1,seconds=1,by='${dev}'}\n",
			"4:42: pattern.threshold.by: unknown name \"dev\"; there are 0, source, line, pattern, host, program"},
		{"a program without a path", pat + "exec={command=['act']}\n",
			"4:7: pattern.exec.command: \"act\" is no absolute path: what runs must not depend on where it is looked for"},
		{"a program with too much time", pat + "exec={command=['/bin/act'],timeout='11m'}\n",
			"4:28: pattern.exec.timeout: must be more than 0 and at most 10m, not \"11m\""},
		{"a long word that may be a secret", pat + "title='${" + plantedKey + "}'\nexec={command=['" + plantedKey + "']}\n",
			"4:1: pattern.title: unknown name \"…\"; there are 0, source, line, pattern, host, program, count, left_out\n5:7: pattern.exec.command: \"…\" is no absolute path: what runs must not depend on where it is looked for"},
		{"a shell with a template", pat + "exec={command=['/bin/sh','-c','echo ${line}']}\n",
			"4:7: pattern.exec.command: /bin/sh would run what a stranger wrote: take it from the environment instead, as $SSHNOTIFY_LINE"},
		{"a command as a text", pat + "exec={command='/bin/act x'}\n",
			"4:7: pattern.exec.command: must be a list, not text in quotes\n  a list stands in brackets, also of one: [\"…\"]"},
		{"no command", pat + "exec={}\n",
			"4:1: pattern.exec: command is missing"},
		{"hours that are none", pat + "active='all day'\n",
			"4:1: pattern.active: must be hours such as \"22:00-06:00\", \"mon-fri 08:00-18:00\" or \"sat-sun\", not \"all day\""},
		{"a destination mistyped", two + pat + "destination='onclal'\n",
			"8:1: pattern.destination: must be the name of a destination, not \"onclal\"\n  did you mean \"oncall\"?"},
		{"a source mistyped", "[source.kern]\npath='/x'\n" + pat + "source=['kren','k*']\n",
			"6:9: pattern.source: must be the name of a source, or a glob, not \"kren\"\n  did you mean \"kern\"?"},
		{"a severity mistyped", pat + "severity='hgih'\n",
			"4:1: pattern.severity: must be low, medium, high or critical, not \"hgih\"\n  did you mean \"high\"?"},
		{"a field without quotes", json + "[pattern.where]\nalert.severity={max=2}\n",
			"5:7: pattern.where.alert.severity: unknown key\n  a condition has equals, glob, match, min or max; a field's name with a point in it stands in quotes: \"alert.severity\" = …"},
		{"a condition mistyped", json + "[pattern.where]\na={maks=2}\n",
			"5:4: pattern.where.a.maks: unknown key\n  a condition has equals, glob, match, min or max; a field's name with a point in it stands in quotes: \"alert.severity\" = …"},
		{"bounds that cross", json + "[pattern.where]\nb='x'\na={min=3,max=2.5}\n",
			"6:1: pattern.where.a: min is more than max: nothing is both"},
		{"a bound that is no number", json + "[pattern.where]\na={min='3',max=nan}\n",
			"5:4: pattern.where.a.min: must be a number, not text in quotes\n5:12: pattern.where.a.max: must be a number"},
		{"fields of a date and a fraction", json + "[pattern.where]\na=1979-05-27\nb=1.5\nc=[]\n",
			"5:1: pattern.where.a: must be text in quotes, a whole number, true or false, or a list of such, not something else\n  for a number's bounds: {min = 1, max = 2}\n6:1: pattern.where.b: must be text in quotes, a whole number, true or false, or a list of such, not a fraction\n  for a number's bounds: {min = 1, max = 2}\n7:1: pattern.where.c: must not be empty\n  leave it out"},
		{"a field without a decoder", pat + "[pattern.where]\nb='x'\n",
			"5:1: pattern.where.b: unknown name \"b\"; there are 0, source, line, pattern, host, program"},
		{"a capture and one that is not", "[[pattern]]\nname='a'\nmatch='(?P<b>x)'\n[pattern.where]\nb='x'\nc='x'\n",
			"6:1: pattern.where.c: unknown name \"c\"; there are 0, b, source, line, pattern, host, program"},

		{"published nowhere", "[publish]\nnames=true\n",
			"1:2: publish: nothing is published: it says not where\n  destination = [\"…\"] or file = \"/…\""},
		{"published to nobody known", two + "[publish]\ndestination=['pulbic']\n",
			"6:14: publish.destination: must be the name of a destination, not \"pulbic\"\n  did you mean \"public\"?"},
		{"published to the log that is not in the settings", "[publish]\ndestination=['log']\n",
			"2:14: publish.destination: must be the name of a destination, not \"log\"\n  the settings name no destinations"},
		{"alerts for everybody", "[destination.all]\ntype='mastodon-post'\nurl='https://mastodon.example'\ntoken='abc'\n",
			"1:14: destination.all: everybody reads its posts, which would name users and hosts\n  name it in destination of [publish]: then it gets attackers' addresses alone"},
		{"published too much, and of nothing", "[publish]\nfile='www'\nper_hour=0\nmin_attempts=0\n",
			"3:1: publish.per_hour: must be from 1 to 200, not \"0\"\n4:1: publish.min_attempts: must be from 1 to 1000000, not \"0\""},
		{"a rule and a pattern that name a public destination", two + "[publish]\ndestination=['public']\n" + pat + "destination='public'\n[[rule]]\nseverity='high'\ndestination=['oncall','public']\n",
			"10:1: pattern.destination: gets published attacks only, as publish.destination says\n  leave it out there, or here\n13:23: rule.destination: gets published attacks only, as publish.destination says\n  leave it out there, or here"},
	} {
		t.Run(row.situation, func(t *testing.T) {
			if got := said(t, row.file, 0o600); got != row.want {
				t.Error(cmp.Diff(row.want, got))
			}
		})
	}
}

// said gives what is wrong with a file, a line each, with hints below.
func said(t *testing.T, file string, mode os.FileMode) string {
	t.Helper()
	path := write(t, t.TempDir(), "config.toml", file, mode)
	_, err := Load(path)
	checkNoSecret(t, err)
	var got []string
	for _, e := range strictoml.Errors(err) {
		got = append(got, strings.TrimPrefix(strings.ReplaceAll(e.Error(), path+":", ""), path+":"))
		if e.Hint != "" {
			got = append(got, "  "+strings.ReplaceAll(e.Hint, path, "FILE"))
		}
	}
	return strings.Join(got, "\n")
}

// Whoever can change the file could have any program run.
func TestAProgramInAFileThatOthersCanChange(t *testing.T) {
	for _, row := range []struct{ file, where string }{
		{"[[pattern]]\nname='a'\nmatch='x'\nexec={command=['/bin/act']}\n", "4:1: pattern.exec"},
		{"[destination.a]\ntype='exec'\ncommand=['/bin/act']\n", "3:1: destination.a.command"},
	} {
		if got, want := said(t, row.file, 0o646), row.where+": a program is named here, and others can change this file\n  chmod o-w FILE"; got != want {
			t.Error(cmp.Diff(want, got))
		}
		if got := said(t, row.file, 0o644); got != "" {
			t.Error(got)
		}
	}
}

// Packages bring settings of their own in conf.d.
func TestPatternsOfSeveralFiles(t *testing.T) {
	dir := t.TempDir()
	main := write(t, dir, "config.toml", "[source.a]\npath='/a'\n[[pattern]]\nname='x'\nmatch='x'\n[[detector]]\nname='d'\ncount=2\nwithin='1h'\n", 0o644)
	write(t, dir, "conf.d/1.toml", "[source.b]\npath='/b'\n[[pattern]]\nname='y'\nmatch='y'\n[[detector]]\nname='e'\ncount=2\nwithin='1h'\n", 0o644)
	c, err := Load(main)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Sources) != 2 || len(c.Patterns) != 2 || c.Patterns[1].Name != "y" || len(c.Detectors) != 2 {
		t.Errorf("not put together: %+v", c)
	}
	write(t, dir, "conf.d/2.toml", "[[pattern]]\nname='x'\nmatch='z'\n[source.c]\npath='/a'\n[source.b]\npath='/c'\n", 0o644)
	_, err = Load(main)
	want := `DIR/conf.d/2.toml:2:1: pattern.name: already used in line 4 of DIR/config.toml
DIR/conf.d/2.toml:5:1: source.c.path: already used in line 2 of DIR/config.toml
DIR/conf.d/2.toml:6:9: source.b: already set in DIR/conf.d/1.toml, line 1`
	if diff := cmp.Diff(want, strings.ReplaceAll(text(err), dir, "DIR")); diff != "" {
		t.Error(diff)
	}
}

// Destinations for everybody get no alerts.
func TestAlertDestinations(t *testing.T) {
	const settings = "[destination.public]\ntype='log'\n[publish]\ndestination='public'\n"
	c, err := Load(write(t, t.TempDir(), "c.toml", settings+"[[rule]]\nuser='a'\ndestination='log'\n", 0o644))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.AlertDestinations(); len(got) != 0 {
		t.Errorf("alerts go to %v", got)
	}
	if s := c.Summary()[0]; s != "destinations: none, alerts go to the system log" {
		t.Error(s)
	}
	c, err = Load(write(t, t.TempDir(), "c.toml", settings+"[destination.b]\ntype='log'\n", 0o644))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.AlertDestinations(); len(got) != 1 || got[0].Name != "b" || len(c.Destinations) != 2 {
		t.Errorf("alerts go to %v of %v", got, c.Destinations)
	}
}
