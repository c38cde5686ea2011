package slackmsg

import (
	"strings"
	"testing"
)

func FuzzBuild(f *testing.F) {
	n := uint8(0)
	for _, s := range attacks {
		f.Add(n, s, "alice", "db1.example.com")
		f.Add(n+1, "alice", s, "db1.example.com")
		n += 2
	}
	sorts := len(everywhere(""))
	f.Fuzz(func(t *testing.T, sort uint8, all, user, host string) {
		a := everywhere(all)[int(sort)%sorts]
		a.Event.User, a.Event.Host = user, host
		raw, err := build(a).JSON()
		if err != nil {
			t.Fatal(err)
		}
		checkPayload(t, a, raw)
		checkPlain(t, a)
	})
}

func FuzzEscape(f *testing.F) {
	for _, s := range attacks {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Escape(s)
		if strings.ContainsAny(got, "<>") {
			t.Errorf("Escape(%q) = %q", s, got)
		}
		back := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(got)
		if back != s {
			t.Errorf("Escape(%q) = %q, which reads %q", s, got, back)
		}
	})
}

func BenchmarkBuild(b *testing.B) {
	a := alerts()["high"]
	for b.Loop() {
		if _, err := build(a).JSON(); err != nil {
			b.Fatal(err)
		}
	}
}
