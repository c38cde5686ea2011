package publish

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestHarmless(t *testing.T) {
	for name, want := range map[string]string{
		"root":                          "root",
		"john.doe":                      "john(dot)doe",
		"Example Networks, Inc.":        "Example Networks, Inc.",
		"Example.com, Inc.":             "Example(dot)com, Inc.",
		"@channel":                      "(at)channel",
		"<!channel>":                    "(less)?channel(more)",
		"https://e.example":             "https(colon)(slash)(slash)e(dot)example",
		"www.evil.example.":             "www(dot)evil(dot)example.",
		"[x](/y)":                       "?x?((slash)y)",
		"*bold* _it_ `code` ~s~":        "(star)bold(star) -it- ?code? (tilde)s…",
		":smile:":                       "(colon)smile(colon)",
		"#tag $CASH":                    "(hash)tag (dollar)CASH",
		"＠everyone ＃tag":                "?everyone ?tag",
		"198.51.100.9":                  "198(dot)51(dot)100(dot)9",
		"2001:db8::1":                   "2001(colon)db8(colon)(colon)1",
		"a\x00b\nc\u202ed\u200be":       "a?b?c?d?e",
		"אבג1":                          "???1",
		"müller":                        "müller",
		"e\u0301":                       "e?",
		"a\xff":                         "a?",
		"":                              "(empty)",
		"   ":                           "(empty)",
		"  a   b ":                      "a b",
		strings.Repeat("a", 41):         strings.Repeat("a", 40) + "…",
		strings.Repeat("a", 40):         strings.Repeat("a", 40),
		strings.Repeat("a", 39) + "..b": strings.Repeat("a", 39) + "…",
	} {
		if got := harmless(name, maxName); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func FuzzHarmless(f *testing.F) {
	for _, s := range []string{"", " ", "root", "@a<b>://c*_`", "a.b", "Inc.", "x. ", "\u202e\u2066", "＠＃", "ﷺ", strings.Repeat("a", 39) + ". b", "\xff…", "a.…"} {
		f.Add(s, 40)
	}
	f.Fuzz(func(t *testing.T, s string, most int) {
		if most < 1 || most > 1000 {
			return
		}
		got := harmless(s, most)
		if got == "" || !utf8.ValidString(got) || utf8.RuneCountInString(got) > max(most+1, len(nothingSaid)) {
			t.Errorf("%q: %q", s, got)
		}
		checkHarmless(t, got)
		if again := harmless(got, max(most, len(nothingSaid))); again != got && most >= len(nothingSaid) {
			t.Errorf("%q: first %q, then %q", s, got, again)
		}
	})
}

// checkHarmless looks for what means something somewhere.
func checkHarmless(t *testing.T, s string) {
	t.Helper()
	if i := strings.IndexAny(s, "@<>:/*_`#$&~|[]{}!\\\"'^;"); i >= 0 {
		t.Errorf("%q has %q", s, s[i])
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Bidi_Control, unicode.Mn, unicode.Me, unicode.Co, unicode.Zl, unicode.Zp, unicode.Hebrew, unicode.Arabic) {
			t.Errorf("%q has %U", s, r)
		}
	}
	for i := range len(s) - 1 {
		if n := s[i+1]; s[i] == '.' && (n >= '0' && n <= '9' || n >= 'a' && n <= 'z' || n >= 'A' && n <= 'Z') {
			t.Errorf("%q may be a host's name", s)
		}
	}
}
