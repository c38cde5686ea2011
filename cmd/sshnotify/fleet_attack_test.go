package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// over returns an event of a host with some of its fields replaced; nil takes one
// away.
func (h *simHost) over(user string, fields map[string]any) []byte {
	var e map[string]any
	if err := json.Unmarshal(loginEvent(eventID(), h.name, user, h.boot, 7, time.Now()), &e); err != nil {
		panic(err) // it is the test's own
	}
	maps.Copy(e, fields)
	maps.DeleteFunc(e, func(_ string, v any) bool { return v == nil })
	b, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return b
}

// say hands over the bytes of a body.
func (h *simHost) say(ctx context.Context, body string) (answer, error) {
	return h.post(ctx, "/v1/events", http.Header{"Content-Type": {"application/x-ndjson"}, "Sshnotify-Numbering": {h.numbering}}, []byte(body))
}

// A host that joined and then lies is believed in nothing but its name, and the host
// beside it goes on as if it were alone.
func TestFleetAHostThatLies(t *testing.T) {
	e2e(t)
	t.Parallel()
	dir := swiftDir(t)
	public := filepath.Join(dir, "told", "public.jsonl")
	h := newFleetHub(t, dir, fmt.Sprintf("%s[publish]\ndestination = [\"public\"]\n[destination.public]\ntype = \"file\"\npath = %q\n", toldSettings, public))
	hosts := h.mustJoin("web1", "evil")
	honest, evil := hosts[0], hosts[1]
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { honest.run(ctx) })
	var stop atomic.Bool
	var visits sync.WaitGroup
	visits.Go(func() {
		for !stop.Load() {
			honest.login(time.Now())
			time.Sleep(100 * time.Millisecond)
		}
	})

	line := func(n int64, e []byte) string { return fmt.Sprintf(`{"n":%d,"event":%s}`+"\n", n, e) }
	note := func(more map[string]any) map[string]any {
		n := map[string]any{"severity": "low", "title": "note", "text": "text"}
		maps.Copy(n, more)
		return map[string]any{"kind": "alert", "alert": n, "login": nil, "remote": nil, "session": nil}
	}
	told := map[string]bool{} // users of evil's that are to be told, as evil's
	rows := []struct {
		name  string
		user  string
		event map[string]any
		raw   string // in place of the event
		taken bool   // it is told, under the host's own name; else it is rejected
	}{
		{"another host's name", "host", map[string]any{"host": "web1"}, "", true},
		{"a name with a line end", "hostline", map[string]any{"host": "web1\nweb2"}, "", true},
		{"labels of somebody who matters", "labels", map[string]any{"labels": map[string]string{"env": "prod"}}, "", true},
		{"a note for strangers", "public", note(map[string]any{"public": true}), "", true},
		{"a note for one destination", "only", note(map[string]any{"only": []string{"public"}}), "", true},
		{"a note for all but one", "except", note(map[string]any{"except": "told"}), "", true},
		{"an attack, for strangers", "attackpublic", map[string]any{"kind": "attack", "via": "watch", "attack": map[string]any{"severity": "low", "title": "attack", "public": true, "only": []string{"public"}, "phase": "begun"}}, "", true},
		{"the year 9999", "y9999", map[string]any{"time": "9999-12-31T23:59:59.999Z"}, "", true},
		{"the year 1", "y1", map[string]any{"time": "0001-01-01T00:00:00Z"}, "", false},
		{"a time that is none", "y10000", map[string]any{"time": "10000-01-01T00:00:00Z"}, "", false},
		{"a door of nobody's", "via", map[string]any{"via": "root"}, "", false},
		{"no door", "novia", map[string]any{"via": nil}, "", false},
		{"the digest of the day", "digest", map[string]any{"kind": "digest", "via": "self", "digest": map[string]any{"of": "login", "rows": []any{map[string]any{"kind": "login", "user": "root", "count": 3}}}}, "", false},
		{"an unknown kind", "kind", map[string]any{"kind": "reboot"}, "", false},
		{"an id that is a path", "idpath", map[string]any{"id": "../../../../../etc/passwd"}, "", false},
		{"an id in lower case", "idlower", map[string]any{"id": strings.ToLower(eventID())}, "", false},
		{"no id", "noid", map[string]any{"id": nil}, "", false},
		{"no event", "", nil, `{"n":900}` + "\n", false},
		{"a null", "", nil, `{"n":900,"event":null}` + "\n", false},
		{"a list", "", nil, `{"n":900,"event":[]}` + "\n", false},
		{"a deep one", "", nil, `{"n":900,"event":` + strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + "}\n", false},
		{"no JSON", "", nil, "GET / HTTP/1.1\n", false},
		{"zeros", "", nil, strings.Repeat("\x00", 200) + "\n", false},
		{"a number that is a text", "", nil, `{"n":"1","event":{}}` + "\n", false},
		{"an event above the limit of one", "large", map[string]any{"kind": "alert", "alert": map[string]any{"title": strings.Repeat("x", 40<<10)}}, "", false},
		{"a line above the limit", "", nil, `{"n":900,"event":{"v":2,"x":"` + strings.Repeat("x", 70<<10) + `"}}` + "\n", false},
		{"fields of a newer version", "newer", map[string]any{"weather": map[string]any{"rain": true}, "level": 3}, "", true},
	}
	for i, row := range rows {
		raw := row.raw
		if raw == "" {
			raw = line(int64(1000+i), evil.over(row.user, row.event))
		}
		// What is wrong with one line keeps none of the others out.
		beside := fmt.Sprintf("beside%d", i)
		a, err := evil.say(ctx, raw+line(int64(2000+i), evil.over(beside, nil)))
		for err == nil && a.status == http.StatusTooManyRequests {
			time.Sleep(time.Second)
			a, err = evil.say(ctx, raw+line(int64(2000+i), evil.over(beside, nil)))
		}
		switch {
		case err != nil:
			t.Errorf("%s: %v", row.name, err)
		case row.taken && (a.status != 200 || a.Stored != 2 || len(a.Rejected) > 0):
			t.Errorf("%s: %d %s", row.name, a.status, a.body)
		case !row.taken && a.status == 200 && (a.Stored != 1 || len(a.Rejected) != 1 || a.Rejected[0].Why == ""):
			t.Errorf("%s: %d %s", row.name, a.status, a.body)
		case !row.taken && a.status != 200 && a.status != 400 && a.status != 413:
			t.Errorf("%s: %d %s", row.name, a.status, a.body)
		}
		if len(a.body) > 4096 {
			t.Errorf("%s: an answer of %d bytes", row.name, len(a.body))
		}
		if row.taken {
			told[row.user] = true
		}
		if a.status == 200 {
			told[beside] = true
		}
	}

	t.Run("too much in one request", func(t *testing.T) {
		for name, body := range map[string]string{
			"101 lines": strings.Repeat(line(1, evil.over("many", nil)), 101),
			"2 MiB":     strings.Repeat(line(1, evil.over("many", map[string]any{"x": strings.Repeat("x", 50<<10)})), 42),
		} {
			if a, err := evil.say(ctx, body); err == nil && a.status != 413 && a.status != 429 {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
	})
	time.Sleep(time.Second) // for its rate

	t.Run("numbers of its own choice", func(t *testing.T) {
		for i, n := range []int64{1 << 62, -1, 0, 1, 1<<63 - 1} {
			user := fmt.Sprintf("number%d", i)
			if a, err := evil.say(ctx, line(n, evil.over(user, nil))); err != nil || a.status != 200 && a.status != 400 {
				t.Errorf("%d: %d %s %v", n, a.status, a.body, err)
			} else if a.Stored == 1 {
				told[user] = true
			}
		}
		other := newSimHost("evil", h.url(), evil.tls())
		other.numbering = honest.numbering
		for _, n := range []int64{1, 5000} {
			user := fmt.Sprintf("numbering%d", n)
			if a, err := other.say(ctx, line(n, evil.over(user, nil))); err != nil || a.status != 200 {
				t.Errorf("another host's numbering: %d %s %v", a.status, a.body, err)
			}
			told[user] = true
		}
	})

	t.Run("ids and sessions of another host", func(t *testing.T) {
		time.Sleep(time.Second) // for its rate
		session := event.Session{PID: 4242, Start: 777, Boot: "9f1f5bd2-4c5f-4c4c-9d3e-1f2b3c4d5e6f"}
		id, first := eventID(), eventID()
		of := func(kind, id string) map[string]any {
			return map[string]any{"kind": kind, "id": id, "session": session}
		}
		for i, say := range []struct {
			host   *simHost
			fields map[string]any
			user   string
		}{
			{honest, of("login", id), "alice"},
			{evil, of("login", id), "mallory"},
			{evil, of("logout", event.LogoutID(session)), "alice"},
			{evil, of("login", first), "eve"},
			{honest, of("login", first), "bob"},
			{honest, of("logout", event.LogoutID(session)), "alice"},
		} {
			a, err := say.host.say(ctx, line(int64(5000+i), say.host.over(say.user, say.fields)))
			if err != nil || a.status != 200 || a.Stored != 1 {
				t.Errorf("%d: %d %s %v", i, a.status, a.body, err)
			}
			told[say.user] = true
		}
		ended := func() bool {
			return slices.ContainsFunc(h.told.read(), func(l toldLine) bool { return l.Kind == "logout" && l.key() == "web1/alice" })
		}
		until(t, "the logout that is web1's own", ended)
		for _, l := range h.told.read() {
			if l.Kind == "logout" && l.Host != "web1" && l.Host != "evil" {
				t.Errorf("%+v", l)
			}
		}
		for _, pair := range [][2]string{{"web1/alice", "evil/mallory"}, {"web1/bob", "evil/eve"}} {
			until(t, strings.Join(pair[:], " and "), func() bool {
				byKey, _ := h.told.logins()
				a, b := byKey[pair[0]], byKey[pair[1]]
				return len(a) == 1 && len(b) == 1 && a[0].ID != b[0].ID
			})
		}
	})

	t.Run("more than a host may", func(t *testing.T) {
		var busy, stored atomic.Int64
		var waits atomic.Value
		end := time.Now().Add(patience) // until it is refused, on a machine that is slow
		begun := time.Now()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for i := 0; time.Now().Before(end) && (busy.Load() == 0 || time.Since(begun) < 2*time.Second); i++ {
					var body strings.Builder
					for range 20 {
						body.WriteString(line(int64(i+1), evil.over("flood", nil)))
					}
					a, err := evil.say(ctx, body.String())
					switch {
					case err != nil: // it may cut such a host off
						time.Sleep(10 * time.Millisecond)
					case a.status == 429:
						busy.Add(1)
						waits.Store(a.retryAfter)
					case a.status == 200:
						stored.Add(int64(a.Stored))
					default:
						t.Errorf("%d %s", a.status, a.body)
					}
				}
			})
		}
		wg.Wait()
		took := time.Since(begun)
		t.Logf("%v of a flood: %d events stored, %d times 429", took, stored.Load(), busy.Load())
		if busy.Load() == 0 || took < 20*time.Second && stored.Load() > 3000 {
			t.Errorf("%d events in %v were stored, and %d requests refused", stored.Load(), took, busy.Load())
		}
		if s, _ := waits.Load().(string); s == "" {
			t.Error("429 does not say when to come again")
		}
	})

	stop.Store(true)
	visits.Wait()
	until(t, "the honest host's events to be taken", func() bool { return len(honest.batch()) == 0 })
	until(t, "everything to be told", func() bool {
		honest.mu.Lock()
		defer honest.mu.Unlock()
		byKey, _ := h.told.logins()
		for key := range honest.acked {
			if len(byKey[key]) != 1 {
				return false
			}
		}
		return true
	})
	if len(honest.faults) > 0 || honest.asks > 0 {
		t.Errorf("the honest host was turned away %d times: %q", honest.asks, honest.faults)
	}
	// web1's own number is not touched by 5000 and the like, which the test gave it.
	byKey, _ := h.told.logins()
	for key, lines := range byKey {
		host, user, _ := strings.Cut(key, "/")
		switch {
		case host == "web1" && (user == "alice" || user == "bob"):
		case host == "web1":
			honest.mu.Lock()
			if _, ok := honest.acked[key]; !ok {
				t.Errorf("told as web1's, which never said so: %+v", lines[0])
			}
			honest.mu.Unlock()
		case host == "evil" && (told[user] || user == "flood"):
		default:
			t.Errorf("told, and nobody's: %+v", lines[0])
		}
	}
	all := h.told.read()
	for user := range told {
		i := slices.IndexFunc(all, func(l toldLine) bool { return l.Host == "evil" && l.User == user })
		if user == "bob" {
			continue
		}
		if i < 0 {
			t.Errorf("evil's %s was taken, and not told", user)
			continue
		}
		if user == "y9999" && all[i].Time.After(time.Now().Add(10*time.Minute)) {
			t.Errorf("told with a time to come: %+v", all[i])
		}
	}
	if b, err := os.ReadFile(public); err == nil && len(b) > 0 {
		t.Errorf("strangers were told: %s", b)
	}
}

// Whoever knocks at the hub's port without a certificate learns nothing, costs little
// and keeps no host out.
func TestFleetStrangersAtTheDoor(t *testing.T) {
	e2e(t)
	t.Parallel()
	h := newFleetHub(t, swiftDir(t), toldSettings)
	honest := h.mustJoin("web1")[0]
	known := honest.tls()
	stranger := func() *tls.Config { return &tls.Config{RootCAs: known.RootCAs, ServerName: "localhost"} }
	visit := func(t *testing.T) {
		t.Helper()
		honest.login(time.Now())
		lines := honest.batch()
		a, err := honest.events(t.Context(), lines)
		if err != nil || a.status != 200 {
			t.Fatalf("the honest host: %d %s %v", a.status, a.body, err)
		}
		honest.taken(lines, a, 0)
	}

	t.Run("no certificate", func(t *testing.T) {
		s := newSimHost("web1", h.url(), stranger())
		for _, path := range []string{"/v1/events", "/v1/beat", "/v1/renew"} {
			a, err := s.post(t.Context(), path, nil, []byte("{}\n"))
			if err != nil || a.status != 401 || len(a.body) > 200 {
				t.Errorf("%s: %d %q %v", path, a.status, a.body, err)
			}
		}
	})
	t.Run("what hosts may not", func(t *testing.T) {
		for _, what := range []string{
			"GET /v1/events", "GET /v1/copy", "DELETE /v1/events", "GET /", "GET /v1/hosts", "POST //v1/events", "POST /v1/../v1/events",
			"POST /v1/events/", "GET /debug/pprof/", "GET /metrics", "CONNECT /",
		} {
			method, path, _ := strings.Cut(what, " ")
			r, err := http.NewRequestWithContext(t.Context(), method, h.url(), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.URL.Opaque = path
			resp, err := honest.client.Do(r)
			if err != nil {
				t.Errorf("%s: %v", what, err)
				continue
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode < 400 || resp.StatusCode >= 500 || bytes.Contains(body, []byte("web1")) {
				t.Errorf("%s: %d %q", what, resp.StatusCode, body)
			}
		}
	})
	t.Run("TLS 1.2", func(t *testing.T) {
		c := known.Clone()
		c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		if conn, err := tls.Dial("tcp", h.address, c); err == nil {
			conn.Close()
			t.Error("TLS 1.2 is spoken")
		}
	})
	t.Run("HTTP/2", func(t *testing.T) {
		c := known.Clone()
		c.NextProtos = []string{"h2", "http/1.1"}
		conn, err := tls.Dial("tcp", h.address, c)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if p := conn.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
			t.Errorf("%q is agreed on", p)
		}
	})
	t.Run("plain HTTP", func(t *testing.T) {
		resp, err := http.Post("http://"+h.address+"/v1/beat", "application/json", strings.NewReader("{}"))
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != 400 {
				t.Errorf("%d", resp.StatusCode)
			}
		}
	})
	t.Run("large headers", func(t *testing.T) {
		s := newSimHost("x", h.url(), stranger())
		a, err := s.post(t.Context(), "/v1/events", http.Header{"X-Large": {strings.Repeat("x", 4<<20)}}, nil)
		if err == nil && a.status != 431 && a.status != 400 {
			t.Errorf("%d %s", a.status, a.body)
		}
		visit(t)
	})
	t.Run("many bad tokens", func(t *testing.T) {
		token := h.token()
		bad, err := otherSecret(token)
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[int]int)
		var mu sync.Mutex
		var wg sync.WaitGroup
		end := time.Now().Add(time.Second)
		for range 4 {
			wg.Go(func() {
				for time.Now().Before(end) {
					_, a, err := h.join(bad, "web2")
					mu.Lock()
					if err == nil {
						seen[a.status]++
					}
					mu.Unlock()
				}
			})
		}
		visit(t)
		wg.Wait()
		t.Logf("a second of bad tokens: %v", seen)
		for status := range seen {
			if status != 403 && status != 429 {
				t.Errorf("%d", status)
			}
		}
		visit(t)
		until(t, "a good token to be taken", func() bool {
			_, a, err := h.join(token, "web2")
			return err == nil && a.status == 200
		})
	})
	t.Run("connections that say nothing, or little", func(t *testing.T) {
		var conns []net.Conn
		defer func() {
			for _, c := range conns {
				c.Close()
			}
		}()
		// From elsewhere: of one address the hub takes so many, until they say who they are.
		elsewhere := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		for i := range 300 {
			c, err := elsewhere.Dial("tcp", h.address)
			if err != nil {
				break // it may refuse more
			}
			conns = append(conns, c)
			if i%2 == 0 {
				continue
			}
			s := tls.Client(c, stranger())
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			if s.Handshake() == nil {
				fmt.Fprintf(s, "POST /v1/events HTTP/1.1\r\nHost: hub\r\nContent-Length: 1000000\r\nX: ")
			}
		}
		// A connection of its own, beside all of those.
		honest.client.CloseIdleConnections()
		visit(t)
	})
	visit(t)
	if peak := peakMiB(h.pid()); peak > 300 {
		t.Errorf("the hub has grown to %.0f MiB", peak)
	}
}
