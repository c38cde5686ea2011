package channel

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The files' own examples are played through when they are read.
func TestShippedFilesAreSound(t *testing.T) {
	for _, name := range shippedNames() {
		f, err := shippedFile(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f.KeyAbout == "" {
			t.Errorf("%s: key_about is missing", name)
		}
		for _, r := range f.Replies {
			if r.Means == meansBroken && r.Hint == "" {
				t.Errorf("%s: no hint for a reply of %v %v", name, r.Status, r.Is)
			}
		}
	}
}

// Every key of a file and every placeholder is documented, and the documentation's
// example is sound.
func TestServiceFilesAreDocumented(t *testing.T) {
	b, err := os.ReadFile("services/README.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	block := regexp.MustCompile("(?s)```toml\n(.*?)```").FindStringSubmatch(page)
	if block == nil {
		t.Fatal("there is no example")
	}
	if _, err := parseFile([]byte(block[1])); err != nil {
		t.Errorf("%v in\n%s", err, block[1])
	}
	var source []byte
	for _, name := range []string{"servicefile.go", "../service/service.go", "../service/template.go", "../service/example.go"} {
		more, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, more...)
	}
	keys := regexp.MustCompile(`toml:"(\w+)"`).FindAllStringSubmatch(string(source), -1)
	if len(keys) < 50 {
		t.Fatalf("only %d keys were found", len(keys))
	}
	for _, k := range keys {
		if k[1] == "reason" || k[1] == "score" { // of look-ups
			continue
		}
		if !regexp.MustCompile("`(\\[+[\\w.]*)?" + k[1] + "[.\\w]*(\\]+)?`").MatchString(page) {
			t.Errorf("%s is not documented", k[1])
		}
	}
	for _, v := range messageNames() {
		if !strings.Contains(page, "`{"+v+"}`") {
			t.Errorf("{%s} is not documented", v)
		}
	}
}

// What is wrong with a file is said with its line.
func TestServiceFileErrors(t *testing.T) {
	good, err := os.ReadFile("services/gotify.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, old, new, want string }{
		{"as it is", "", "", ""},
		{"an unknown key", "syntax =", "syntx =", "syntx: unknown key"},
		{"a syntax that is none", `"plain"`, `"rtf"`, "syntax: must be plain, at,"},
		{"a placeholder of nothing", "{headline}\", message", "{heading}\", message", "{heading} is captured by no request before this one"},
		{"a stranger's words in a header", `X-Gotify-Key = "{key}"`, `X-Gotify-Key = "{key}", Title = "{headline}"`, "{headline} may not stand in a header"},
		{"nothing that shows whose answer it is", "expect = [\"id\"]\n", "", "which fields show"},
		{"an answer that means something else", "time\"}'\nmeans = \"answer\"", "time\"}'\nmeans = \"bug\"", `it means "answer"`},
		{"another body than the example's", "priority = \"{priority}\"}", "priority = 5}", "it sends"},
		{"a meaning that is none", `means = "broken"`, `means = "dead"`, "means"},
		{"a level by a setting that is none", `critical = "10"`, `critical = "{loud}"`, "{loud} is no setting"},
		{"a request of no name", `name = "send"`, `name = "post"`, `the first is "send"`},
		{"a setting of a taken name", "[limit]", "[[setting]]\nname = \"url\"\nabout = \"x\"\n[limit]", "taken"},
		{"a pattern that is none", "[limit]", "[[setting]]\nname = \"room\"\nabout = \"x\"\npattern = \"(\"\n[limit]", "missing closing )"},
		{"a check that tells somebody", "path = \"/message\"\nanswer", "path = \"/{headline}\"\nanswer", "tells nobody anything"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !strings.Contains(string(good), tc.old) {
				t.Fatalf("there is no %q", tc.old)
			}
			_, err := parseFile([]byte(strings.Replace(string(good), tc.old, tc.new, 1)))
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}
