package strictoml

import (
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/outbound"
)

type limits struct {
	Count  int           `toml:"count,required" check:"min=1,max=9"`
	Within time.Duration `toml:"within" check:"max=1d"`
	Least  time.Duration `toml:"least" check:"min=0s,max=1h"`
}

type thing struct {
	Name  string  `toml:"name,required,unique=thing" check:"line=8"`
	Score *int    `toml:"score" check:"min=0,max=100"`
	Ratio float64 `toml:"ratio"`
}

func (t *thing) Validate(at At) {
	if t.Name == "bad" && at.OK() {
		at.Fail("score", "does not fit").Hint = "leave it out"
	}
}

type base struct {
	Host string `toml:"host" check:"nonempty"`
}

type document struct {
	base
	Limits  limits                    `toml:"limits"`
	Sort    string                    `toml:"sort" check:"oneof=red green"`
	Dir     string                    `toml:"dir" check:"path"`
	On      bool                      `toml:"on"`
	At      Clock                     `toml:"at"`
	Users   []string                  `toml:"user,one" check:"line=5"`
	Nets    []netip.Prefix            `toml:"nets"`
	Match   *regexp.Regexp            `toml:"match"`
	Groups  map[string][]netip.Prefix `toml:"groups" each:"group"`
	Things  []thing                   `toml:"thing"`
	Key     outbound.Secret           `toml:"key,secret"`
	Proxy   outbound.Secret           `toml:"proxy,secreturl"`
	Skipped int
}

func (x *document) Validate(at At) {
	at.Known("user", x.Users, append(at.Names("groups"), "root"), "a name of [groups]", "groups")
}

func said(errs []*Error) string {
	var lines []string
	for _, e := range errs {
		lines = append(lines, strings.TrimPrefix(e.Error(), "F:"))
		if e.Hint != "" {
			lines = append(lines, "  "+e.Hint)
		}
	}
	return strings.Join(lines, "\n")
}

func TestDecode(t *testing.T) {
	const text = "sort='red'\ndir='/a/../b'\non=true\nat='07:30'\nuser='root'\nnets=['192.0.2.7', '::ffff:198.51.100.9/120']\nmatch='a+'\nkey=' k '\n" +
		"[limits]\ncount=0x9\nwithin='1d'\n[groups]\na=['192.0.2.0/24']\n[[thing]]\nname='x'\nscore=0\nratio=1_0\n[[thing]]\nname='y'\n"
	x := document{base: base{"x"}, Sort: "green", Skipped: 3}
	if err := Unmarshal("F", []byte(text), &x); err != nil {
		t.Fatal(err)
	}
	if x.Host != "x" || x.Limits.Count != 9 || x.Limits.Within != 24*time.Hour || x.Sort != "red" || x.Dir != "/b" || !x.On || x.At != 450 ||
		len(x.Users) != 1 || x.Nets[0].String() != "192.0.2.7/32" || x.Nets[1].String() != "198.51.100.0/24" || x.Match.String() != "a+" ||
		len(x.Groups["a"]) != 1 || *x.Things[0].Score != 0 || x.Things[0].Ratio != 10 || x.Things[1].Score != nil || x.Key.Reveal() != "k" || x.Skipped != 3 {
		t.Errorf("%+v", x)
	}
}

// All that is wrong is said at once, each with its place and what to do.
func TestAllMistakesAtOnce(t *testing.T) {
	for situation, row := range map[string]struct{ text, want string }{
		"syntax alone": {"sort='red'\nuser=root\nhsot=1\n", "2:6: no value\n  text stands in quotes: key = \"value\""},
		"types and keys": {"srot='a'\nhost=''\non='yes'\nuser=7\nnets='192.0.2.0/24'\nthing={}\nlimits=1\n",
			"1:1: srot: unknown key\n  did you mean \"sort\"?\n2:1: host: must not be empty\n  leave it out\n3:1: on: must be true or false, not text in quotes\n4:1: user: must be text in quotes or a list of such, not a whole number\n" +
				"5:1: nets: must be a list, not text in quotes\n  a list stands in brackets, also of one: [\"…\"]\n6:1: thing: must be a list of tables, not a table\n  write [[thing]]\n7:1: limits: must be a table, not a whole number"},
		"meanings": {"sort='rde'\ndir='x'\nat='24:00'\nnets=['192.0.2.0/33']\nmatch='('\nuser=['rooot','root','toolong']\n",
			"1:1: sort: must be red or green, not \"rde\"\n  did you mean \"red\"?\n2:1: dir: must be a path from the root (/…), not \"x\"\n3:1: at: must be a time of day such as \"08:00\", not \"24:00\"\n" +
				"4:7: nets: must be a network such as \"192.0.2.0/28\", or an address, not \"192.0.2.0/33\"\n5:1: match: not a regular expression: missing closing ) at \"(\"\n" +
				"  in single quotes, a \\ stands for itself; https://golang.org/s/re2syntax says what there is\n" +
				"6:7: user: must be a name of [groups], not \"rooot\"\n  did you mean \"root\"?\n6:22: user: must be one line of 1 to 5 visible characters, not \"toolong\""},
		"a table": {"[limits]\nwithin='25h'\nleast='-1s'\nsort='red'\n",
			"1:2: limits: count is missing\n2:1: limits.within: must be more than 0 and at most 1d, not \"25h\"\n3:1: limits.least: must be from 0s to 1h, not \"-1s\"\n" +
				"4:1: limits.sort: unknown key\n  if it is not meant for limits, put it before the first [table] of the file"},
		"a list of tables": {"[[thing]]\nname='bad'\nscore=7\n[[thing]]\nname='bad'\nscore=101\n[[thing]]\nratio=nan\n",
			"3:1: thing.score: does not fit\n  leave it out\n5:1: thing.name: already used in line 2\n6:1: thing.score: must be from 0 to 100, not \"101\"\n7:3: thing: name is missing\n8:1: thing.ratio: must be a number"},
		"names": {"[groups]\n\"a b\"=[]\n", "2:1: groups.\"…\": the name of a group is made of 1 to 32 letters, digits, _ and -"},
	} {
		var x document
		err := Unmarshal("F", []byte(row.text), &x)
		if d := cmp.Diff(row.want, said(Errors(err))); d != "" {
			t.Errorf("%s (-want +got):\n%s", situation, d)
		}
	}
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	decode := func(mode os.FileMode, text string, without bool) (document, string) {
		n, err := Parse(&File{Name: "F", Mode: mode}, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		d, x := Decoder{WithoutSecrets: without}, document{}
		d.Decode(n, &x)
		return x, said(d.Errors())
	}
	for _, text := range []string{"key='s3cret'", "key_file='" + file + "'", "key_file='credential:key'"} {
		if x, errs := decode(0o640, text, false); errs != "" || x.Key.Reveal() != "s3cret" {
			t.Errorf("%s: %q %s", text, x.Key.Reveal(), errs)
		}
		if x, errs := decode(0o640, text, true); errs != "" || !x.Key.IsZero() {
			t.Errorf("%s: without secrets %q %s", text, x.Key.Reveal(), errs)
		}
	}
	for _, row := range [][2]string{
		{"key='s3cret'\nproxy='http://u:s3cret@h'\n", "1:1: key: a secret stands here, and others can read this file\n  chmod o-r F"},
		{"proxy='http://h:3128'\n", ""},
		{"proxy='http://h/?s3cret'\n", "1:1: proxy: a secret stands here, and others can read this file\n  chmod o-r F"},
		{"key='a'\nkey_file='/x'\n", "2:1: key_file: key is set as well\n  leave one of them out"},
		{"key_file='" + dir + "/none'\n", "1:1: key_file: no such file or directory"},
		{"key_file='s3cret'\n", "1:1: key_file: no such file or directory, looked for in " + cwd},
		{"key_file='https://example.com/s3cret'\n", "1:1: key_file: must be the path of a file that holds the URL\n  the URL itself stands under key"},
		{"key_file='~/s3cret'\n", "1:1: key_file: must be a path without ~, which only a shell understands, or credential:NAME"},
		{"key_file=''\n", "1:1: key_file: must be the path of a file, or credential:NAME"},
	} {
		if _, errs := decode(0o644, row[0], false); errs != row[1] {
			t.Errorf("%s: %s", row[0], cmp.Diff(row[1], errs))
		}
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	fifo, big, link := filepath.Join(dir, "fifo"), filepath.Join(dir, "big"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		size int
		want string
	}{{maxFile, ""}, {maxFile + 1, "larger than 1048576 bytes"}} {
		if err := os.WriteFile(big, make([]byte, row.size), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := ReadFile(big)
		if err != nil && err.Error() != row.want || err == nil && row.want != "" {
			t.Errorf("%d bytes: %v, want %q", row.size, err, row.want)
		}
	}
	if err := os.Symlink(big, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir: "not a regular file", fifo: "not a regular file", "/dev/zero": "not a regular file", filepath.Join(dir, "none"): "no such file or directory", link: "larger than 1048576 bytes",
	} {
		if _, _, err := ReadFile(path); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func TestDurations(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"400d": 400 * day, "0d": 0, "1d12h": 36 * time.Hour, "90m": 90 * time.Minute, "1d0.5h": 24*time.Hour + 30*time.Minute, "65535d": 65535 * day,
	} {
		if got, ok := ParseDuration(s); !ok || got != want {
			t.Errorf("%s: %v %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "d", "1", "-1d", "+1d", "-1h", "1d-1h", "1d+1h", "1dd", "1d2d", "1.5d", "65536d", "65535d2562047h", "1 d", "1d 1h", "1h1d"} {
		if got, ok := ParseDuration(s); ok {
			t.Errorf("%s: %v", s, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 7 * day: "7d", 36 * time.Hour: "36h", 90 * time.Minute: "1h30m", time.Minute: "1m"} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestClock(t *testing.T) {
	for s, want := range map[string]Clock{"00:00": 0, "08:05": 485, "23:59": 1439, "24:00": Midnight} {
		if got, ok := ParseClock(s); !ok || got != want || got.String() != s {
			t.Errorf("%s: %v %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "8:00", "08:60", "24:01", "08-00", "+8:00", "08:0a", "08:000"} {
		if got, ok := ParseClock(s); ok {
			t.Errorf("%s: %v", s, got)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add("sort='red'\n[limits]\ncount=1\n[[thing]]\nname='x'\n[groups]\na=['192.0.2.1']\n")
	f.Add("a.b.c = [[1, {x = 2, y.z = []}], 1979-05-27, 1.5, true, nan]\n[[thing]]\n[thing.e]\n[[d.f]]\n")
	f.Add("user=[[1],{}]\nnets={}\nkey_file='credential:x'\nmatch=7\nat=''\n")
	f.Fuzz(func(t *testing.T, text string) {
		var x document
		err := Unmarshal("F", []byte(text), &x)
		if err != nil && len(Errors(err)) == 0 {
			t.Fatalf("%v is no *Error", err)
		}
		for _, e := range Errors(err) {
			if e.Line < 1 || e.Line > strings.Count(text, "\n")+1 || e.Column < 1 || e.Message == "" {
				t.Errorf("no place in the file: %+v", e)
			}
		}
	})
}
