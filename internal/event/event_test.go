package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var sameAddr = cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}

func sample() Event {
	return Event{
		ID: LoginID(Session{PID: 812, Start: 4711, Boot: "9f1f"}, "203.0.113.7 51234 192.0.2.5 22"), Kind: KindLogin,
		Time: time.Date(2026, 11, 21, 2, 15, 4, 123_456_789, time.FixedZone("CET", 3600)), Host: "db1.example.com",
		User: "alice", Service: "sshd", Via: ViaPAM,
		Remote:  Remote{IP: netip.MustParseAddr("203.0.113.7"), Port: 51234},
		Local:   Local{IP: netip.MustParseAddr("192.0.2.5"), Port: 22},
		Login:   Login{Auth: Auth{Method: "publickey", KeyType: "ssh-ed25519", Fingerprint: "SHA256:abc"}},
		Session: Session{PID: 812, Start: 4711, Boot: "9f1f"},
	}
}

func TestEncodeDecode(t *testing.T) {
	data, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := sample()
	want.V = Version
	want.Time = time.Date(2026, 11, 21, 1, 15, 4, 123_000_000, time.UTC) // UTC, to the millisecond
	got, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, sameAddr); diff != "" {
		t.Error(diff)
	}
}

// Other people's programs read these names.
func TestStoredFormIsTheContract(t *testing.T) {
	data, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"v": 2.0, "id": sample().ID, "kind": "login", "time": "2026-11-21T01:15:04.123Z", "host": "db1.example.com", "user": "alice",
		"service": "sshd", "via": "pam",
		"remote":  map[string]any{"ip": "203.0.113.7", "port": 51234.0, "name": ""},
		"local":   map[string]any{"ip": "192.0.2.5", "port": 22.0},
		"login":   map[string]any{"auth": map[string]any{"method": "publickey", "key_type": "ssh-ed25519", "fingerprint": "SHA256:abc"}},
		"session": map[string]any{"pid": 812.0, "start": 4711.0, "boot": "9f1f"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	id := sample().ID
	for name, data := range map[string]string{
		"a torn file":           string(good[:len(good)/2]),
		"nothing":               "",
		"no object":             `[1]`,
		"no version":            `{"id":"` + id + `","kind":"login","time":"2026-11-21T01:15:04Z"}`,
		"an id that is a path":  `{"v":1,"id":"../../etc/passwd","kind":"login","time":"2026-11-21T01:15:04Z"}`,
		"no time":               `{"v":1,"id":"` + id + `","kind":"login"}`,
		"a time before all":     `{"v":1,"id":"` + id + `","kind":"login","time":"0001-01-01T00:00:00.0001Z"}`,
		"a year below none":     `{"v":1,"id":"` + id + `","kind":"login","time":"0000-01-01T00:00:00+01:00"}`,
		"a year beyond JSON's":  `{"v":1,"id":"` + id + `","kind":"login","time":"9999-12-31T23:59:59-01:00"}`,
		"an unknown kind":       `{"v":1,"id":"` + id + `","kind":"party","time":"2026-11-21T01:15:04Z"}`,
		"an alert without text": `{"v":1,"id":"` + id + `","kind":"alert","time":"2026-11-21T01:15:04Z"}`,
		"an address that isn't": `{"v":1,"id":"` + id + `","kind":"login","time":"2026-11-21T01:15:04Z","remote":{"ip":"300.0.0.1"}}`,
		"too much":              `{"v":1,"user":"` + strings.Repeat("a", MaxSize) + `"}`,
	} {
		if e, err := Decode([]byte(data)); err == nil {
			t.Errorf("%s was read as %+v", name, e)
		}
	}
	newer := strings.Replace(string(good), `"v":2`, `"v":3,"shape":"new"`, 1)
	if _, err := Decode([]byte(newer)); !errors.Is(err, ErrNewer) {
		t.Errorf("an event of a newer version: %v", err)
	}
}

// What Encode takes, whatever its strings are, Decode takes back.
func TestLongestStringsFit(t *testing.T) {
	long := strings.Repeat("\U0001f511\u202e\"<", 4000)
	e := sample()
	e.Host, e.User, e.Service = long, long, long
	e.Remote.Name, e.Remote.Zone, e.Remote.Claimed = long, long, long
	auth := Auth{Method: long, KeyType: long, Fingerprint: long, KeyID: long, CAFingerprint: long}
	e.Session.Boot, e.Session.NS = long, long
	note := Note{Title: long, Text: long, Except: long}
	var tally Tally
	for range 30 {
		note.Only = append(note.Only, long)
		tally.Most = append(tally.Most, Count{Name: long, N: math.MaxInt})
	}
	counted := &Attack{Auth: auth, Names: tally, Addresses: tally, Services: tally, Detector: long, By: long, Phase: Phase(long)}
	told := *counted
	told.Note = note
	e.Labels = map[string]string{}
	for i := range maxLabels {
		e.Labels[strings.Repeat(string(rune('a'+i)), 100)] = long
	}
	for name, change := range map[string]func(*Event){
		"login":            func(e *Event) { e.Kind, e.Login = KindLogin, Login{By: long, Auth: auth} },
		"logout":           func(e *Event) { e.Kind, e.Logout.By = KindLogout, long },
		"alert":            func(e *Event) { e.Kind, e.Alert = KindAlert, &note },
		"match":            func(e *Event) { e.Kind, e.Match = KindMatch, &Match{Pattern: long, Note: note} },
		"attack":           func(e *Event) { e.Kind, e.Attack = KindAttack, counted },
		"attack, in words": func(e *Event) { e.Kind, e.Attack = KindAttack, &told },
		"witness":          func(e *Event) { e.Kind, e.Service, e.Witness.By = KindWitness, "su", long },
	} {
		e := e
		change(&e)
		data, err := e.Encode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := Decode(data); err != nil {
			t.Errorf("%s: %d bytes: %v", name, len(data), err)
		}
	}
}

func TestIDs(t *testing.T) {
	a := Session{PID: 812, Start: 4711, Boot: "one"}
	id := LoginID(a, "203.0.113.7 51234 192.0.2.5 22")
	for name, other := range map[string]string{
		"another connection": LoginID(a, "203.0.113.7 51235 192.0.2.5 22"),
		"the pid came back":  LoginID(Session{PID: 812, Start: 4712, Boot: "one"}, "203.0.113.7 51234 192.0.2.5 22"),
		"after a reboot":     LoginID(Session{PID: 812, Start: 4711, Boot: "two"}, "203.0.113.7 51234 192.0.2.5 22"),
		"the logout":         LogoutID(a),
		"a random one":       NewID(),
	} {
		if other == id {
			t.Errorf("%s has the same id", name)
		}
		if !ValidID(other) {
			t.Errorf("%s: %q is no valid id", name, other)
		}
	}
	if again := LoginID(a, "203.0.113.7 51234 192.0.2.5 22"); again != id {
		t.Error("an id is not the same twice")
	}
	for _, bad := range []string{"", "7K3F", strings.Repeat("0", 25), strings.Repeat("0", 27), strings.Repeat("U", 26), strings.Repeat("0", 24) + "\n\n", "../../../../../etc/passwd0"} {
		if ValidID(bad) {
			t.Errorf("%q counts as an id", bad)
		}
	}
	if got := Ref(id); got != id[:4] {
		t.Errorf("ref %q of %q", got, id)
	}
}

func TestClean(t *testing.T) {
	for _, row := range []struct {
		name, in string
		max      int
		want     string
	}{
		{"plain", "alice", 32, "alice"},
		{"letters of all the world", "Zoë Żółć 李", 32, "Zoë Żółć 李"},
		{"newline", "alice\nroot", 32, `alice\u000aroot`},
		{"NUL", "a\x00b", 32, `a\u0000b`},
		{"an escape sequence", "\x1b[31m", 32, `\u001b[31m`},
		{"C1 control", "a\u009bb", 32, `a\u009bb`},
		{"bidirectional override", "a\u202eb", 32, `a\u202eb`},
		{"zero width", "a\u200bb\ufeff", 32, `a\u200bb\ufeff`},
		{"a letter that is drawn as nothing", "a\u3164b", 32, `a\u3164b`},
		{"tag characters", "a\U000e0041", 32, `a\U000e0041`},
		{"a space that isn't one", "a\u00a0b", 32, `a\u00a0b`},
		{"line separator", "a\u2028b", 32, `a\u2028b`},
		{"no UTF-8", "a\xffb", 32, "a\ufffdb"},
		{"too long", "abcdef", 4, "abc…"},
		{"just long enough", "abcd", 4, "abcd"},
		{"an escape is never cut", "abc\n", 5, "abc…"},
		{"10,000 characters", strings.Repeat("x", 10_000), 8, "xxxxxxx…"},
	} {
		if got := Clean(row.in, row.max); got != row.want {
			t.Errorf("%s: %q became %q, want %q", row.name, row.in, got, row.want)
		}
	}
}

func TestSeverity(t *testing.T) {
	if !(Low < Medium && Medium < High && High < Critical) {
		t.Error("the severities are not in order")
	}
	for _, s := range []Severity{Low, Medium, High, Critical} {
		text, err := s.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back Severity
		if err := back.UnmarshalText(text); err != nil || back != s {
			t.Errorf("%s became %v, %v", text, back, err)
		}
	}
	var s Severity
	if err := s.UnmarshalText([]byte("HIGH")); err == nil {
		t.Error("a name in capitals was taken")
	}
	if _, err := Severity(7).MarshalText(); err == nil {
		t.Error("a severity that is none was written")
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"alice", "a\x00b", "a\u202eb\xff", strings.Repeat("é\n", 50), `\u202e`} {
		f.Add(s, 16)
	}
	f.Fuzz(func(t *testing.T, s string, max int) {
		if max < 1 || max > 1000 {
			return
		}
		got := Clean(s, max)
		if n := utf8.RuneCountInString(got); n > max || !utf8.ValidString(got) {
			t.Fatalf("%q became %q of %d characters, at most %d", s, got, n, max)
		}
		for _, r := range got {
			if hidden(r) && r != utf8.RuneError {
				t.Fatalf("%q kept %U", s, r)
			}
		}
		if again := Clean(got, max); again != got {
			t.Fatalf("%q became %q, and then %q", s, got, again)
		}
	})
}

func FuzzDecode(f *testing.F) {
	data, err := sample().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	for _, more := range []string{
		`{"v":1,"kind":"alert",%s,"note":{"severity":"high","text":"x"}}`, `{"v":1,"kind":"attack",%s,"rows":[{"user":"against x","kind":"attempt","count":3}],"span":{"first":"2026-11-21T01:15:04Z"}}`,
		`{"v":2,"kind":"attack",%s,"attack":{"phase":"begun","by":"network","network":"203.0.113.0/24","attempts":9,"names":{"most":[{"name":"root","n":9}],"rest":2}}}`,
		`{"v":2,"kind":"digest",%s,"digest":{"of":"attempt","rows":[{"kind":"attempt","count":3,"attacker":{"account":"x"}},{"more":7}]}}`,
		`{"v":2,"kind":"witness",%s,"service":"su","user":"root","witness":{"by":"x","crowd":true}}`, `{"v":2,"kind":"match",%s,"match":{"pattern":"disk","text":"full"}}`,
	} {
		f.Add(fmt.Appendf(nil, more, `"id":"`+sample().ID+`","time":"2026-11-21T01:15:04Z"`))
	}
	f.Add(bytes.Replace(data, []byte("2026-11-21T01"), []byte("9999-12-31T23"), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Decode(data)
		if err != nil {
			return
		}
		stored, err := e.Encode()
		if err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		back, err := Decode(stored)
		if err != nil {
			t.Fatalf("what was written can't be read: %v", err)
		}
		if diff := cmp.Diff(e, back, sameAddr); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A word for no opinion, in the forms in which services write it.
func TestSaysNothing(t *testing.T) {
	for word, want := range map[string]bool{
		"UNKNOWN": true, "Unknown risk": true, "unknown_reputation": true, "(unknown)": true, "N/A": true, "n.a.": true, "-": true, "inconclusive": true,
		"": false, "LOW": false, "clean": false, "unknownbot": false, "safe": false,
	} {
		if SaysNothing(word) != want {
			t.Errorf("%q: %v", word, !want)
		}
	}
}

func TestHubID(t *testing.T) {
	id := NewID()
	at := HubID("web1", id)
	if !ValidID(at) || Ref(at) != Ref(id) || at[:8] != id[:8] {
		t.Errorf("HubID(%s) = %s: not a valid id with the same ref", id, at)
	}
	if at == id || at == HubID("web2", id) || at != HubID("web1", id) {
		t.Errorf("HubID(%s) = %s: a host can have another's id", id, at)
	}
	in := Session{PID: 812, Start: 4711, Boot: "6f1ad6a4-6cbd-4d1c-9d5e-0c1c0a8e3c5f"}
	there := in
	there.Boot = "web1:" + in.Boot
	if got, want := LogoutID(there), HubID("web1", LogoutID(in)); got != want {
		t.Errorf("a logout is %s at its hub, and its session's %s", want, got)
	}
}
