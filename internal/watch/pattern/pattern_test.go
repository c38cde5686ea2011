package pattern

import (
	"errors"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/strictoml"
	"github.com/sshnotify/sshnotify/internal/watch/line"
)

var (
	now      = time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC) // a Saturday
	sameAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
)

func engine(t testing.TB, patterns ...Pattern) *Engine {
	t.Helper()
	e, err := New(patterns, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func text(s string) line.Line { return line.Line{Source: "/var/log/app.log", Text: s} }

// one takes a line that must match once.
func one(t testing.TB, e *Engine, s string) Match {
	t.Helper()
	got := e.Take(text(s), now)
	if len(got) != 1 {
		t.Fatalf("%q gave %d matches", s, len(got))
	}
	return got[0]
}

func hours(t *testing.T, s ...string) (all []policy.Hours) {
	for _, one := range s {
		h, err := policy.ParseHours(one)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, h)
	}
	return all
}

func TestMatchIsTold(t *testing.T) {
	e := engine(t, Pattern{
		Name: "disk", Sources: []string{"/var/log/*.log"}, Match: regexp.MustCompile(`disk (?P<disk>\w+) (failed|degraded)(?: by (?P<by>\w+))?.* from (?P<ip>\S+)`),
		Severity: new(event.Critical), Title: "Disk ${disk} ${2}: $$5 for ${0}", Text: "${source}:\n ${line}${by}", Destinations: []string{"oncall"},
	})
	got := one(t, e, "raid: disk sda failed, told from [2001:db8::7]:22")
	digest := got.Digest
	want := Match{
		Pattern: "disk", Time: now, Severity: event.Critical, Title: "Disk sda failed: $5 for disk sda failed, told from [2001:db8::7]:22",
		Text: "/var/log/app.log:  raid: disk sda failed, told from [2001:db8::7]:22", IP: netip.MustParseAddr("2001:db8::7"),
		Fields: map[string]string{"disk": "sda", "2": "failed", "ip": "[2001:db8::7]:22"}, Source: "/var/log/app.log",
		Line: "raid: disk sda failed, told from [2001:db8::7]:22", Count: 1, Destinations: []string{"oncall"}, Digest: digest,
	}
	if diff := cmp.Diff(want, got, sameAddr); diff != "" {
		t.Error(diff)
	}
	if got := e.Take(line.Line{Source: "journal", Text: "disk sda failed from 192.0.2.1"}, now.Add(time.Hour)); got != nil {
		t.Errorf("a line of another source: %v", got)
	}
}

func TestDefaults(t *testing.T) {
	e := engine(t, Pattern{Name: "oom", Match: regexp.MustCompile(`Out of memory`)})
	got := one(t, e, "kernel: Out of memory: Killed process 812")
	if got.Severity != event.Medium || got.Title != "oom" || got.Text != "kernel: Out of memory: Killed process 812" || got.IP.IsValid() {
		t.Errorf("%+v", got)
	}
}

// What stands in a line stays text wherever it goes.
func TestValuesAreOutsideText(t *testing.T) {
	e := engine(t, Pattern{
		Name: "p", Match: regexp.MustCompile(`(?s)user (?P<user>.*)`), Title: "${user}", Text: "by ${user}", By: "${user}",
		Threshold: &Threshold{Type: Limit, Count: 1, Seconds: 60},
	})
	for _, row := range []struct{ name, user, want string }{
		{"a template", "${line} $$ ${user}", "${line} $$ ${user}"},
		{"a new line", "a\r\nb", `a\u000d\u000ab`},
		{"an override", "a\u202eb", `a\u202eb`},
		{"a NUL and no UTF-8", "a\x00\xffb", `a\u0000` + "\ufffdb"},
	} {
		got := one(t, e, "user "+row.user)
		if got.Title != row.want || got.Text != "by "+row.want || got.Key != row.want || got.Fields["user"] != row.want {
			t.Errorf("%s: %+v", row.name, got)
		}
	}
	long := one(t, e, "user "+strings.Repeat("\u202e\U0001f511", 16<<10))
	if n := len(long.Title) + len(long.Text) + len(long.Line) + len(long.Fields["user"]); n > 8<<10 {
		t.Errorf("%d bytes are kept", n)
	}
}

func TestWhichLinesMatch(t *testing.T) {
	at := regexp.MustCompile
	for _, row := range []struct {
		name    string
		p       Pattern
		l       line.Line
		matches bool
	}{
		{"an ignore pattern", Pattern{Match: at(`error`), Ignore: []*regexp.Regexp{at(`harmless`)}}, text("a harmless error"), false},
		{"another ignore pattern", Pattern{Match: at(`error`), Ignore: []*regexp.Regexp{at(`harmless`)}}, text("an error"), true},
		{"in other cases", Pattern{Match: at(`(?i)kernel PANIC`)}, text("KERNEL panic"), true},
		{"a Kelvin is a k", Pattern{Match: at(`(?i)kernel`)}, text("\u212aernel"), true},
		{"one of two words", Pattern{Match: at(`denied|refused`)}, text("was refused"), true},
		{"a byte that is no UTF-8", Pattern{Match: at("a\ufffdlong")}, text("a\xfflong"), true},
		{"one of two sources", Pattern{Match: at(``), Sources: []string{"journal", "/var/*"}}, text("x"), true},
		{"a source that only begins so", Pattern{Match: at(``), Sources: []string{"/var"}}, text("x"), false},
		{"a program of the journal", Pattern{Match: at(``), Where: map[string]Condition{"program": {Equals: []string{"sudo", "su"}}}}, line.Line{Text: "x", Program: "su"}, true},
		{"another program", Pattern{Match: at(``), Where: map[string]Condition{"program": {Equals: []string{"sudo", "su"}}}}, line.Line{Text: "x", Program: "cron"}, false},
		{"a capture that is not there", Pattern{Match: at(`a(?P<b>b)?`), Where: map[string]Condition{"b": {}}}, text("a"), false},
		{"a capture that is there", Pattern{Match: at(`a(?P<b>b)?`), Where: map[string]Condition{"b": {}}}, text("ab"), true},
		{"a glob", Pattern{Match: at(`u (\S+)`), Where: map[string]Condition{"1": {Glob: []string{"x*", "ad?in*"}}}}, text("u admin.7"), true},
		{"a glob fits all of it", Pattern{Match: at(`u (\S+)`), Where: map[string]Condition{"1": {Glob: []string{"ad?in"}}}}, text("u admin.7"), false},
		{"a regular expression", Pattern{Match: at(`u (\S+)`), Where: map[string]Condition{"1": {Match: at(`^a.*\d$`)}}}, text("u admin.7"), true},
		{"a number that is enough", Pattern{Match: at(`n (\S+)`), Where: map[string]Condition{"1": {Min: new(5.5), Max: new(6.0)}}}, text("n 5.5"), true},
		{"one that is too big", Pattern{Match: at(`n (\S+)`), Where: map[string]Condition{"1": {Min: new(5.5), Max: new(6.0)}}}, text("n 6.01"), false},
		{"one that is none", Pattern{Match: at(`n (\S+)`), Where: map[string]Condition{"1": {Min: new(5.5)}}}, text("n NaN"), false},
		{"words for a number", Pattern{Match: at(`n (\S+)`), Where: map[string]Condition{"1": {Max: new(5.5)}}}, text("n few"), false},
		{"at night, over midnight", Pattern{Match: at(``), Active: hours(t, "fri 22:00-06:00")}, text("x"), true},
		{"by day", Pattern{Match: at(``), Active: hours(t, "06:00-22:00")}, text("x"), false},
	} {
		row.p.Name = "p"
		e := engine(t, row.p)
		if got := e.Take(row.l, now); (len(got) == 1) != row.matches {
			t.Errorf("%s: %v", row.name, got)
		}
		if idle := e.Stats()[0].Idle; idle == 0 && (len(e.Explain(row.l)) == 1) != row.matches {
			t.Errorf("%s: explained otherwise", row.name)
		}
	}
}

// Hours are those of the zone, at the time of the event.
func TestHoursInTheZone(t *testing.T) {
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	e, err := New([]Pattern{{Name: "p", Match: regexp.MustCompile(``), Active: hours(t, "sat 11:00-12:00")}}, Options{Zone: tokyo})
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Take(text("x"), now.In(time.FixedZone("", -7200)))) != 1 {
		t.Error("11:15 in Tokyo is not in it")
	}
	if got := e.Take(text("x"), now.Add(time.Hour)); got != nil {
		t.Errorf("12:15 in Tokyo is: %v", got)
	}
	if s := e.Stats()[0]; s.Told != 1 || s.Idle != 1 || s.Matched != 2 {
		t.Errorf("%+v", s)
	}
}

func TestNewRefuses(t *testing.T) {
	at := regexp.MustCompile
	ok := at(`(?P<user>\w+) (\d+)`)
	for name, row := range map[string]struct {
		p         Pattern
		key, says string
	}{
		"no name":                     {Pattern{Match: ok}, "name", "none"},
		"no match":                    {Pattern{Name: "p"}, "match", "which lines"},
		"no match of json":            {Pattern{Name: "p", Decoder: "json"}, "match", "which lines"},
		"a monster":                   {Pattern{Name: "p", Match: at(`(?:a?b?c?){900}d{900}e{900}`)}, "match", "steps"},
		"a monster to ignore":         {Pattern{Name: "p", Match: ok, Ignore: []*regexp.Regexp{at(`(?:a?b?c?){900}d{900}e{900}`)}}, "ignore", "steps"},
		"an unknown capture":          {Pattern{Name: "p", Match: ok, Title: "${usr}"}, "title", `unknown name "usr"; there are 0, user, 2, source`},
		"a number too many":           {Pattern{Name: "p", Match: ok, Text: "${3}"}, "text", `"3"`},
		"a huge number":               {Pattern{Name: "p", Match: ok, Text: "${99999999999999999999}"}, "text", "unknown"},
		"a minus":                     {Pattern{Name: "p", Match: ok, Text: "${-1}"}, "text", "unknown"},
		"no name in it":               {Pattern{Name: "p", Match: ok, Text: "${}"}, "text", "unknown"},
		"a $ by itself":               {Pattern{Name: "p", Match: ok, Text: "for $5"}, "text", "$$"},
		"a $ at the end":              {Pattern{Name: "p", Match: ok, Text: "for $"}, "text", "$$"},
		"an open brace":               {Pattern{Name: "p", Match: ok, Text: "${user"}, "text", "}"},
		"a field without a decoder":   {Pattern{Name: "p", Match: ok, Text: "${.user}"}, "text", "decoder"},
		"a count to count by":         {Pattern{Name: "p", Match: ok, By: "${count}", Threshold: &Threshold{Type: Limit, Count: 1, Seconds: 1}}, "threshold.by", "count"},
		"by without a threshold":      {Pattern{Name: "p", Match: ok, By: "${user}"}, "threshold.by", "without"},
		"an unknown decoder":          {Pattern{Name: "p", Decoder: "xml"}, "decoder", "suricata"},
		"csv without columns":         {Pattern{Name: "p", Decoder: "csv", Match: ok}, "columns", "names"},
		"columns without csv":         {Pattern{Name: "p", Decoder: "json", Match: ok, Columns: []string{"a"}}, "columns", "only csv"},
		"columns without a decoder":   {Pattern{Name: "p", Match: ok, Columns: []string{"a"}}, "columns", "only csv"},
		"a column twice":              {Pattern{Name: "p", Decoder: "csv", Match: ok, Columns: []string{"a", "b", "a"}}, "columns", "twice"},
		"a column without a name":     {Pattern{Name: "p", Decoder: "csv", Match: ok, Columns: []string{"a", ""}}, "columns", "no name"},
		"an unknown column":           {Pattern{Name: "p", Decoder: "csv", Columns: []string{"a"}, Where: map[string]Condition{"b": {}}}, "where", "there are a, source"},
		"a query":                     {Pattern{Name: "p", Decoder: "json", Where: map[string]Condition{`a.#(b="c")`: {}}}, "where", "path"},
		"a modifier":                  {Pattern{Name: "p", Decoder: "json", Match: ok, Title: "${a|@reverse}"}, "title", "path"},
		"a wildcard":                  {Pattern{Name: "p", Decoder: "json", Match: ok, Title: "${a*}"}, "title", "path"},
		"a condition for nothing":     {Pattern{Name: "p", Match: ok, Where: map[string]Condition{"2": {Min: new(2.0), Max: new(1.0)}}}, "where", "more than max"},
		"an address that is no field": {Pattern{Name: "p", Match: ok, IPField: "line"}, "ip", "neither"},
		"an unknown address":          {Pattern{Name: "p", Match: ok, IPField: "src"}, "ip", "unknown"},
		"no program":                  {Pattern{Name: "p", Match: ok, Exec: &Exec{}}, "exec.command", "no program"},
		"a program by its name":       {Pattern{Name: "p", Match: ok, Exec: &Exec{Command: []string{"logger"}}}, "exec.command", "absolute"},
		"a program that is a value":   {Pattern{Name: "p", Match: ok, Exec: &Exec{Command: []string{"/opt/${user}"}}}, "exec.command", "template"},
		"a shell":                     {Pattern{Name: "p", Match: ok, Exec: &Exec{Command: []string{"/bin/sh", "-c", "echo ${user}"}}}, "exec.command", "environment"},
		"an interpreter":              {Pattern{Name: "p", Match: ok, Exec: &Exec{Command: []string{"/usr/bin/python3.12", "-c", "print('${user}')"}}}, "exec.command", "environment"},
		"an argument with a NUL":      {Pattern{Name: "p", Match: ok, Exec: &Exec{Command: []string{"/bin/true", "a\x00b"}}}, "exec.command", "NUL"},
	} {
		_, err := New([]Pattern{row.p}, Options{})
		wrong, ok := errors.AsType[*Error](err)
		if !ok || wrong.Key != row.key || !strings.Contains(wrong.Err.Error(), row.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := New([]Pattern{{Name: "p", Match: ok}, {Name: "p", Match: ok, Title: "${x}"}, {Match: ok}}, Options{})
	want := "pattern \"p\": name: another pattern has it too\npattern \"p\": title: unknown name \"x\"; " +
		"there are 0, user, 2, source, line, pattern, host, program, count, left_out\npattern \"#3\": name: there is none"
	if err == nil || err.Error() != want {
		t.Errorf("all that is wrong: %v", err)
	}
}

// The bounds of single values are the settings' to check, before New.
func TestSettingsRefuse(t *testing.T) {
	var ok struct {
		Patterns []Pattern `toml:"pattern"`
	}
	const threshold = "match = 'x'\n[pattern.threshold]\n"
	if err := strictoml.Unmarshal("", []byte("[[pattern]]\nname = 'p'\n"+threshold+"type = 'both'\ncount = 1000000\nseconds = 2678400"), &ok); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct{ settings, says string }{
		"no name":                 {"name = ''\nmatch = 'x'", "name"},
		"a hidden character":      {"name = \"a\\u200b\"\nmatch = 'x'", "name"},
		"a long name":             {"name = '" + strings.Repeat("x", 65) + "'\nmatch = 'x'", "name"},
		"blanks around a name":    {"name = ' p'\nmatch = 'x'", "name"},
		"an empty source":         {"name = 'p'\nsource = ['']\nmatch = 'x'", "source"},
		"a type that is none":     {"name = 'p'\n" + threshold + "type = 'x'\ncount = 1\nseconds = 1", "type"},
		"no type":                 {"name = 'p'\n" + threshold + "count = 1\nseconds = 1", "type"},
		"a count of nothing":      {"name = 'p'\n" + threshold + "type = 'both'\ncount = 0\nseconds = 1", "count"},
		"too high a count":        {"name = 'p'\n" + threshold + "type = 'both'\ncount = 1000001\nseconds = 1", "count"},
		"no seconds":              {"name = 'p'\n" + threshold + "type = 'both'\ncount = 1\nseconds = 0", "seconds"},
		"half a year":             {"name = 'p'\n" + threshold + "type = 'both'\ncount = 1\nseconds = 16777216", "seconds"},
		"a severity that is none": {"name = 'p'\nmatch = 'x'\nseverity = 'worst'", "severity"},
		"an hour of a program":    {"name = 'p'\nmatch = 'x'\n[pattern.exec]\ncommand = ['/bin/true']\ntimeout = '1h'", "10m"},
		"less than no time":       {"name = 'p'\nmatch = 'x'\n[pattern.exec]\ncommand = ['/bin/true']\ntimeout = '-1s'", "timeout"},
		"an unknown capture":      {"name = 'p'\nmatch = 'x'\nwhere = {usr = 'x'}", `where.usr: unknown name "usr"`},
		"by without a threshold":  {"name = 'p'\nmatch = '(x)'\nby = '${1}'", "by: nothing is counted"},
	} {
		var got struct {
			Patterns []Pattern `toml:"pattern"`
		}
		if err := strictoml.Unmarshal("", []byte("[[pattern]]\n"+row.settings), &got); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A shell may run what the settings say; only what a line says it may not.
func TestShellWithoutTemplates(t *testing.T) {
	engine(t, Pattern{Name: "p", Match: regexp.MustCompile(``), Exec: &Exec{Command: []string{"/bin/sh", "-c", `echo "$$SSHNOTIFY_LINE"`}}})
}

func TestRequiredLiterals(t *testing.T) {
	for expr, want := range map[string][]literal{
		`Failed password for (\S+) from`: {{"Failed password for ", false}},
		`a.b`:                            nil,
		`(?i)Kernel panic`:               {{"kernel panic", true}},
		`Fail(ed|ure) now`:               {{"Fail", false}},
		`denied|refused|(?i:DROP)`:       {{"denied", false}, {"refused", false}, {"drop", true}},
		`denied|.*`:                      nil,
		`(abc)?def`:                      {{"def", false}},
		`(abc)+d`:                        {{"abc", false}},
		`(?:abc){2,}`:                    {{"abc", false}},
		`(?:abc){0,3}`:                   nil,
		"ab\ufffdcde":                    {{"cde", false}},
		`(?i)straßen`:                    {{"stra", true}},
		`^$`:                             nil,
	} {
		got, err := newMatcher(regexp.MustCompile(expr))
		if err != nil || !cmp.Equal(want, got.needs, cmp.AllowUnexported(literal{})) {
			t.Errorf("%s: %v %v, want %v", expr, got.needs, err, want)
		}
	}
}

// A big expression sees the start of a long line, a small one all of it.
func TestReach(t *testing.T) {
	long := strings.Repeat("x", line.MaxText-5)
	for _, row := range []struct {
		expr, text string
		matches    bool
	}{
		{`error (\d+)`, long + "error 5", false}, // a line has no more than that
		{`(\w+) rror`, long[7:] + " error", false},
		{`e(r+)or`, long[7:] + " error", true},
		{`x{1,900}error`, long[7:] + "error", false},
		{`x{1,900}error`, long[:4<<10] + "error", true},
	} {
		e := engine(t, Pattern{Name: "p", Match: regexp.MustCompile(row.expr)})
		if got := e.Take(text(row.text), now); (len(got) == 1) != row.matches {
			t.Errorf("%s: %d matches in %d bytes", row.expr, len(got), len(row.text))
		}
	}
}

// The literals never say no where the expression says yes.
func FuzzRequired(f *testing.F) {
	f.Add(`(?i)k(ernel|x)+ \d`, "\u212aERNEL 5")
	f.Add(`a\x{fffd}b|cd`, "a\xffb")
	f.Add(`(?:ab|cd){1,2}[Ee]`, "abcdE")
	f.Fuzz(func(t *testing.T, expr, s string) {
		re, err := regexp.Compile(expr)
		if err != nil || len(s) > 1000 {
			return
		}
		m, err := newMatcher(re)
		if err != nil {
			return
		}
		if lower := new(folded); m.matches(s) && !lower.has(s, m.needs) {
			t.Fatalf("%q matches %q, but needs %v", expr, s, m.needs)
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"", "$$", "${user}$", "${", "${}", "a ${1} b $${0}", "${.a.b}", "${@x:y/z}", "${line}${count}"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, s string, json bool) {
		in := scope{re: regexp.MustCompile(`(?P<user>a)(b)`), told: true}
		if json {
			in.decoder, _, _ = newDecoder("json", nil)
		}
		parsed, err := parseTemplate(s, in)
		if err != nil {
			return
		}
		// What fills a place is never looked through again.
		got := parsed.expand(func(ref) string { return "${user}$" })
		back := strings.ReplaceAll(s, "$$", "\x00")
		back = regexp.MustCompile(`\$\{[^}]*\}`).ReplaceAllLiteralString(back, "${user}$")
		if want := strings.ReplaceAll(back, "\x00", "$"); got != want {
			t.Fatalf("%q became %q, want %q", s, got, want)
		}
	})
}

// The same line gives the same digest, another line, source or pattern another.
func TestDigest(t *testing.T) {
	all := Pattern{Match: regexp.MustCompile(``)}
	a, b := all, all
	a.Name, b.Name = "a", "b"
	digests := map[string]bool{}
	for range 2 {
		e := engine(t, a, b)
		for i, l := range []line.Line{text("x"), text("y"), {Source: "journal", Text: "x"}} {
			for _, m := range e.Take(l, now.Add(time.Duration(i)*time.Hour)) {
				digests[m.Digest] = true
			}
		}
	}
	if len(digests) != 6 {
		t.Errorf("%d digests of 6 matches, each taken twice", len(digests))
	}
}

func TestReplayIsTheSameTwice(t *testing.T) {
	run := func() (all []Match) {
		e := engine(t, Pattern{Name: "a", Match: regexp.MustCompile(`(\d)$`)},
			Pattern{Name: "b", Match: regexp.MustCompile(`(\d)$`), By: "${1}", Threshold: &Threshold{Type: Both, Count: 3, Seconds: 30}})
		for i := range 500 {
			at := now.Add(time.Duration(i*i%977) * time.Second)
			all = append(all, e.Take(text(strings.Repeat("7", i%5+1)), at)...)
			all = append(all, e.Tick(at)...)
		}
		return append(all, e.Tick(now.Add(time.Hour))...)
	}
	if diff := cmp.Diff(run(), run(), sameAddr, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}
