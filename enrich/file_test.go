package enrich

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// example is the smallest file that there can be.
const example = `form = 1
title = "Example"
url = "https://api.example.com"
key = "none"
[[request]]
name = "ip"
path = "/{ip}"
expect = ["score"]
[[request.score]]
path = "score"
range = [0, 100]
`

func TestParseService(t *testing.T) {
	f, err := ParseService("own", []byte(example))
	if err != nil {
		t.Fatal(err)
	}
	if s := f.Service(); s.Name != "own" || s.Title != "Example" || s.NeedsKey || s.NeedsURL || !s.GivesRisk {
		t.Errorf("%+v", s)
	}
}

// The example in the documentation is one.
func TestParseServiceDocumentedExample(t *testing.T) {
	b, err := os.ReadFile("services/README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(b), -1)
	whole := 0
	for _, block := range blocks {
		if strings.Contains(block[1], "form = 1") {
			whole++
			if _, err := ParseService("own", []byte(block[1])); err != nil {
				t.Errorf("%v in\n%s", err, block[1])
			}
		}
	}
	if whole == 0 {
		t.Error("no example was found")
	}
}

// Every key is documented.
func TestServiceKeysAreDocumented(t *testing.T) {
	b, err := os.ReadFile("services/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var src []byte
	for _, name := range []string{"file.go", "../internal/service/service.go", "../internal/service/template.go", "../internal/service/example.go"} {
		more, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		src = append(src, more...)
	}
	keys := regexp.MustCompile(`toml:"(\w+)"`).FindAllStringSubmatch(string(src), -1)
	if len(keys) < 50 {
		t.Fatalf("only %d keys were found", len(keys))
	}
	for _, k := range keys {
		if !regexp.MustCompile("`(\\[+[\\w.]*)?" + k[1] + "(\\]+)?`").MatchString(string(b)) {
			t.Errorf("%s is not documented", k[1])
		}
	}
}

func TestParseServiceErrors(t *testing.T) {
	for _, tc := range []struct {
		name, old, new string
		want           string // the error, whole
	}{
		{"an unknown key", `title =`, `titel =`, "2:1: titel: unknown key, did you mean \"title\"?"},
		{"an unknown key in a table", `expect =`, `except =`, "8:1: request.except: unknown key, did you mean \"expect\"?"},
		{"an unknown key that is like none", `url =`, `zzzzzzzz =`, "3:1: zzzzzzzz: unknown key, known here: addresses, basic, blank, cache_ttl, error, example, form, headers, home, key, max_answer, quota, reply, request, risk, terms, title, url, url_hint"},
		{"an unknown table", `[[request.score]]`, `[[request.scores]]`, "9:11: request.scores: unknown key, did you mean \"score\"?"},
		{"no TOML", `title = "Example"`, `title = "Example`, "2:17: basic strings cannot have new lines"},
		{"a number for a text", `"Example"`, `7`, ""},
		{"a list for a table", `range = [0, 100]`, `range = {a = 1}`, ""},
		{"another form", `form = 1`, `form = 2`, "1:1: form: form = 1 says which form this file has"},
		{"no form", "form = 1\n", "", "1:1: form = 1 says which form this file has"},
		{"no title", `"Example"`, `""`, "2:1: title: the service's name is missing"},
		{"a title of two lines", `"Example"`, `"Exam\nple"`, "2:1: title: must be one line of at most 40 visible characters"},
		{"http to elsewhere", `https://api`, `http://api`, "3:1: url: http:// is allowed to this machine only, use https://"},
		{"a query in the URL", `api.example.com`, `api.example.com/?a=b`, "3:1: url: it ends before any ? or #, and holds no { }"},
		{"an unknown word", `"none"`, `"perhaps"`, "4:1: key: must be required, optional or none, not \"perhaps\""},
		{"a key that is not used", `"none"`, `"required"`, `4:1: key: key is "required", and {key} stands in no request`},
		{"a key that is used and not there", `"/{ip}"`, `"/{ip}/{key}"`, "4:1: key: key is \"none\", and {key} stands in a request\n7:1: request.path: with {key} in a path, key must be \"required\""},
		{"no request", "[[request]]\nname = \"ip\"\npath = \"/{ip}\"\nexpect = [\"score\"]\n[[request.score]]\npath = \"score\"\nrange = [0, 100]\n", "", "1:1: 0 requests, there must be 1 to 8"},
		{"no name", `name = "ip"`, ``, "5:3: request: a name of letters, digits, - and _ is missing"},
		{"a path without a slash", `"/{ip}"`, `"{ip}"`, "7:1: request.path: a path begins with / and ends before any ? or #"},
		{"a query in a path", `"/{ip}"`, `"/{ip}?a=b"`, "7:1: request.path: a path begins with / and ends before any ? or #"},
		{"no address", `"/{ip}"`, `"/x"`, "5:3: request: neither {ip} nor a captured value is in its path or query"},
		{"a value that is not captured", `"/{ip}"`, `"/{ip}/{asn}"`, "5:3: request: {asn} is captured by no request before this one"},
		{"a placeholder left open", `"/{ip}"`, `"/{ip}/{as"`, "5:3: request: neither {ip} nor a captured value is in its path or query\n" + `7:1: request.path: { without a name and } in "/{ip}/{as"`},
		{"nothing to expect", `expect = ["score"]`, ``, "5:3: request: which fields show that it is this service's answer?"},
		{"a modifier", `path = "score"`, `path = "@reverse"`, "10:1: request.score.path: '@' in the path part \"@reverse\": write \\@ where the field's name has it"},
		{"several paths in one", `path = "score"`, `path = "{score,risk}"`, "10:1: request.score.path: '{' in the path part \"{score,risk}\": write \\{ where the field's name has it"},
		{"a pipe", `path = "score"`, `path = "a|b"`, "10:1: request.score.path: | in the path \"a|b\": join its parts by points"},
		{"an empty part", `path = "score"`, `path = "a..b"`, "10:1: request.score.path: the path \"a..b\" has nothing between two points, or at an end"},
		{"a query that compares nothing", `path = "score"`, `path = "a.#(b)"`, "10:1: request.score.path: the query (b) compares nothing"},
		{"a query left open", `path = "score"`, `path = "a.#(b==1"`, "10:1: request.score.path: the path \"#(b==1\" does not close what it opens"},
		{"a query with a word", `path = "score"`, `path = "a.#(b==c)"`, "10:1: request.score.path: in a query, \"c\" is not quoted text, a number, true or false"},
		{"no scale", `range = [0, 100]`, ``, "9:11: request.score: what the value means is missing: range, steps or words, range = [0, 100], where the value is a score of 0 to 100 itself"},
		{"two scales", `range = [0, 100]`, "range = [0, 100]\nsteps = [[0, 0]]", "9:11: request.score: range, steps and words are mutually exclusive, leave all but one of them out"},
		{"a range of nothing", `[0, 100]`, `[5, 5]`, "11:1: request.score.range: a range is [what means 0, what means 100]"},
		{"an endless range", `[0, 100]`, `[0, inf]`, "11:1: request.score.range: a range is [what means 0, what means 100]\n11:13: request.score.range: must be a number"},
		{"steps that go down", `range = [0, 100]`, `steps = [[5, 0], [1, 50]]`, "11:1: request.score.steps: each step begins higher than the one before"},
		{"a score of 101", `range = [0, 100]`, `words = {bad = 101}`, "11:10: request.score.words.bad: 101 is not within 0 to 100"},
		{"a reason left open", `expect = ["score"]`, "expect = [\"score\"]\nreason = [\"{a\"]", "9:11: request.reason: { without a name and } in \"{a\""},
		{"any 404 for clean", `key = "none"`, "key = \"none\"\nreply = [{status = [404], means = \"unseen\"}]", "5:10: reply: only a path shows that it is the service that says so"},
		{"any answer for a refusal", `key = "none"`, "key = \"none\"\nreply = [{means = \"key\"}]", "5:10: reply: neither a status nor a path: every answer would be one"},
		{"a redirect for an answer", `key = "none"`, "key = \"none\"\nreply = [{status = [302], path = \"a\", means = \"answer\"}]", "5:39: reply.means: a redirect means down"},
		{"a newline in a header", `key = "none"`, "key = \"none\"\nheaders = {A = \"b\\nc\"}", "5:12: headers.A: a character that no header has"},
		{"a header that is none", `key = "none"`, "key = \"none\"\nheaders = {\"A b\" = \"c\"}", "5:12: headers.\"…\": no name for a header"},
		{"the address in a header", `key = "none"`, "key = \"none\"\nheaders = {A = \"{ip}\"}", "5:12: headers.A: {ip} may not stand in a header"},
		{"an answer without end", `key = "none"`, "key = \"none\"\nmax_answer = 1000000000", "5:1: max_answer: must be from 1024 to 1048576, not \"1000000000\""},
		{"lat without lon", `expect = ["score"]`, "expect = [\"score\"]\nplace = {lat = \"a\"}", "9:1: request.place: lat and lon belong together"},
		{"a time without a unit", `key = "none"`, "key = \"none\"\ncache_ttl = \"5\"", "5:1: cache_ttl: must be a duration, not \"5\", a duration is a number with a unit, in quotes: \"3s\", \"10m\", \"1h\", \"7d\""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !strings.Contains(example, tc.old) {
				t.Fatal("nothing is spoilt")
			}
			_, err := ParseService("own", []byte(strings.Replace(example, tc.old, tc.new, 1)))
			var said []string
			for _, e := range strictoml.Errors(err) {
				if e.Hint != "" {
					e.Message += ", " + e.Hint
				}
				said = append(said, e.Error())
			}
			if got := strings.Join(said, "\n"); got == "" || tc.want != "" && got != tc.want {
				t.Errorf("%s\nwant %s", got, tc.want)
			}
			if e, ok := errors.AsType[*strictoml.Error](err); err != nil && (!ok || tc.want == "" && e.Line == 0) {
				t.Errorf("%#v", err)
			}
		})
	}
}

// All that is wrong is said at once, in the order of the lines.
func TestParseServiceSaysAll(t *testing.T) {
	spoilt := strings.NewReplacer(`"Example"`, `""`, `[0, 100]`, `[0]`, `"/{ip}"`, `"x"`).Replace(example)
	_, err := ParseService("own", []byte(spoilt))
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "2:") || !strings.HasPrefix(lines[1], "5:") || !strings.HasPrefix(lines[2], "7:") || !strings.HasPrefix(lines[3], "11:") {
		t.Errorf("%v", err)
	}
}

func FuzzParseService(f *testing.F) {
	f.Add([]byte(example))
	for _, name := range serviceNames() {
		b, err := shipped.ReadFile("services/" + name + ".toml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("a.b.c = 1\n[[a]]\n[a.b]\n[[a.b.c]]\nd = [{e = [{f = 1}]}]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := ParseService("own", b)
		if err != nil {
			for _, e := range strings.Split(err.Error(), "\n") {
				if e == "" {
					t.Errorf("an empty error in %q", err)
				}
			}
			return
		}
		// What is taken can be used: with any answer, nothing breaks down.
		s := file.Service()
		if s.Title == "" || len(file.form.Requests) == 0 {
			t.Errorf("%+v", s)
		}
		for _, answered := range []string{`{"score":1,"a":{"b":["c"]}}`, `[{"type":"ban"}]`, `null`} {
			for i := range file.form.Requests {
				form := &file.form.Requests[i]
				form.read(answerFrom(t, file, form, answered))
			}
		}
	})
}
