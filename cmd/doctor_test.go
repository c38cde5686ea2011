package cmd

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/store"
)

// doctor runs the command and gives what it found, by the checks' names; of
// several with one name, the worst.
func (p *place) doctor(change func(*doctorOptions)) (map[string]doctor.Result, error) {
	p.t.Helper()
	a := p.app()
	o := doctorOptions{setter: p.setter(a), now: time.Now, shells: []string{"bash"}, json: true}
	p.program(&o.setter)
	if change != nil {
		change(&o)
	}
	err := o.run(p.t.Context())
	var d struct {
		OK     bool
		Checks []doctor.Result
	}
	if e := json.Unmarshal(p.out.Bytes(), &d); e != nil {
		p.t.Fatalf("%v in %q", e, p.out.String())
	}
	if d.OK != (err == nil) {
		p.t.Errorf("ok is %v, and the error %v", d.OK, err)
	}
	worst := map[doctor.State]int{doctor.OK: 0, doctor.Warn: 1, doctor.Fail: 2}
	out := map[string]doctor.Result{}
	for _, c := range d.Checks {
		if was, ok := out[c.Name]; !ok || worst[c.State] > worst[was.State] {
			out[c.Name] = c
		}
	}
	return out, err
}

func TestDoctor(t *testing.T) {
	doc := func(p *place, name, text string) {
		if err := os.WriteFile(filepath.Join(p.state(), name), []byte(text), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
	destination := func(p *place, text string) {
		db, err := store.Open(databaseFile(p.state()), store.Options{})
		if err == nil {
			defer db.Close()
			err = db.Write(p.t.Context(), time.Minute, func(t *store.Tx) error {
				_, err := t.Exec(`INSERT INTO state(kind, name, value) VALUES ('destination', 'slack', ?)`, text)
				return err
			})
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
	settings := func(p *place, change func(string) string) {
		const name = ".config/sshnotify/config.toml"
		p.write(name, change(p.read(name)))
	}
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	hold := `{"until":"` + soon + `","for":3600000000000}`
	settled := func(more string) func(p *place) {
		return func(p *place) { settings(p, func(s string) string { return s + "\n" + more }) }
	}
	// asked has a service asked that answers with a status, as a worker would.
	asked := func(status, times int) func(p *place) {
		return func(p *place) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
			defer srv.Close()
			settled("[provider.threatjammer]\nurl = \"" + srv.URL + "\"\napi_key = \"k\"\n")(p)
			c, err := config.Load(filepath.Join(p.home, ".config/sshnotify/config.toml"))
			if err != nil {
				p.t.Fatal(err)
			}
			db, err := store.Open(databaseFile(p.state()), store.Options{})
			if err != nil {
				p.t.Fatal(err)
			}
			defer db.Close()
			lookups, err := engine(c, p.state(), db)
			if err != nil {
				p.t.Fatal(err)
			}
			for i := range times {
				lookups.Lookup(p.t.Context(), netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}))
			}
		}
	}
	for name, c := range map[string]struct {
		prepare func(p *place)
		check   string
		state   doctor.State
		text    string // in message or hint
	}{
		"all is well: hook":        {nil, "hook bash", doctor.OK, ".bashrc"},
		"all is well: settings":    {nil, "settings content", doctor.OK, "destinations: slack"},
		"all is well: secrets":     {nil, "secrets", doctor.OK, "destination.slack"},
		"all is well: queue":       {nil, "queue", doctor.OK, "nothing waits"},
		"all is well: spool":       {nil, "spool", doctor.OK, "can be written"},
		"all is well: clock":       {nil, "clock", "", ""},
		"nothing was told yet":     {nil, "destination slack", doctor.OK, "on record"},
		"the hook is gone":         {func(p *place) { p.write(".bashrc", "") }, "hook bash", doctor.Fail, "sshnotify install"},
		"no settings":              {func(p *place) { os.Remove(filepath.Join(p.home, ".config/sshnotify/config.toml")) }, "settings content", doctor.Warn, "sshnotify install"},
		"broken settings":          {func(p *place) { settings(p, func(string) string { return "[destination.slak]\n" }) }, "settings content", doctor.Fail, "config.toml:1"},
		"no secret":                {func(p *place) { os.Remove(filepath.Join(p.home, ".config/sshnotify/slack.url")) }, "settings content", doctor.Fail, "webhook_url_file"},
		"others read the secret":   {func(p *place) { os.Chmod(filepath.Join(p.home, ".config/sshnotify/slack.url"), 0o644) }, "settings content", doctor.Fail, "chmod o-r"},
		"others write settings":    {func(p *place) { os.Chmod(filepath.Join(p.home, ".config/sshnotify/config.toml"), 0o620) }, "settings", doctor.Fail, "chmod go-w"},
		"a relay":                  {func(p *place) { p.write(".config/sshnotify/slack.url", "https://relay.example.com/x") }, "secrets", doctor.Warn, "relay"},
		"no destination":           {func(p *place) { settings(p, func(string) string { return "" }) }, "destination log", doctor.OK, "on record"},
		"no spool":                 {func(p *place) { os.RemoveAll(p.spool()) }, "spool", doctor.Fail, "can't be written"},
		"an event waits":           {func(p *place) { p.queued(event.KindLogin) }, "queue", doctor.OK, "1 wait"},
		"an event waits for long":  {func(p *place) { p.old(20*time.Minute, "new") }, "queue", doctor.Warn, "the oldest for 20m"},
		"nobody works the queue":   {func(p *place) { p.old(20*time.Minute, "new") }, "worker", doctor.Warn, "deliver --once"},
		"an event waits for a day": {func(p *place) { p.old(25*time.Hour, "new") }, "queue", doctor.Fail, "the oldest for 25h"},
		"a dead letter":            {func(p *place) { p.old(time.Minute, "failed") }, "dead letters", doctor.Fail, "queue retry"},
		"a broken destination": {func(p *place) { destination(p, `{"broken":"2026-11-20T01:02:03Z"}`) },
			"destination slack", doctor.Fail, "2026-11-20 01:02 UTC"},
		"a limited destination": {func(p *place) { destination(p, `{"limited":`+hold+`}`) },
			"destination slack", doctor.Warn, "left alone"},
		"a torn document":              {func(p *place) { destination(p, `{"bro`) }, "destination slack", doctor.OK, "on record"},
		"a provider":                   {asked(200, 0), "provider threatjammer", doctor.OK, "0 of 5000 requests of a month"},
		"a refused key":                {asked(401, 1), "provider threatjammer", doctor.Fail, "key"},
		"a used up quota":              {asked(429, 1), "provider threatjammer", doctor.Warn, "quota"},
		"a provider is down":           {asked(500, 4), "provider threatjammer", doctor.Warn, "not asked before"},
		"terms of a service":           {settled("[provider.virustotal]\napi_key = \"k\"\n"), "terms of virustotal", doctor.OK, "commercial"},
		"a database that is not there": {settled("[provider.geo]\ntype = \"mmdb\"\npath = \"/nowhere.mmdb\"\n"), "provider geo", doctor.Fail, "/nowhere.mmdb"},
		"a list that is not there":     {settled("[provider.tor]\ntype = \"list\"\npath = \"/nowhere.txt\"\n"), "provider tor", doctor.Fail, "/nowhere.txt"},
		"a list": {func(p *place) {
			p.write("list.txt", "192.0.2.0/24\nnonsense\n198.51.100.7\n")
			settled("[provider.tor]\ntype = \"list\"\npath = \"" + filepath.Join(p.home, "list.txt") + "\"\n")(p)
		}, "provider tor", doctor.OK, "2 networks"},
		"the built-in database":     {nil, "built-in database", "", "networks and countries"},
		"nothing is remembered yet": {nil, "memory", doctor.OK, "history import"},
		"a damaged memory":          {func(p *place) { doc(p, "history.db", strings.Repeat("no database ", 1000)) }, "memory", doctor.Warn, "moves it aside"},
		"no memory is wanted":       {settled("[history]\nenabled = false\n"), "memory", doctor.OK, "switched off"},
		"a dull host name":          {func(p *place) { settings(p, func(s string) string { return "host = \"localhost\"\n" + s }) }, "host name", doctor.Warn, "db1.example.com"},
		"a host name":               {func(p *place) { settings(p, func(s string) string { return "host = \"db7\"\n" + s }) }, "host name", doctor.OK, "db7"},
		"another, older hook":       {func(p *place) { p.write(".profile", "curl https://hooks.slack.com/services/x\n. ~/.bashrc\n") }, "other hooks", doctor.Warn, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newAccount(t)
			if err := p.install(func(o *installOptions) { o.webhookURL = madeUpWebhook }); err != nil {
				t.Fatal(err)
			}
			if c.prepare != nil {
				c.prepare(p)
			}
			got, _ := p.doctor(nil)
			r, ok := got[c.check]
			if !ok || c.state != "" && r.State != c.state || !strings.Contains(r.Message+r.Hint, c.text) {
				t.Errorf("%q: %+v, want %s and %q", c.check, r, c.state, c.text)
			}
			for _, r := range got {
				if r.State != doctor.OK && r.Hint == "" && r.Name != "other hooks" {
					t.Errorf("no hint: %+v", r)
				}
			}
			p.noSecret()
		})
	}
}

// old leaves an event in a folder of the spool, of some time ago.
func (p *place) old(age time.Duration, folder string) {
	p.t.Helper()
	e := p.queued(event.KindLogin)
	from, to := filepath.Join(p.spool(), "new", e.ID+".json"), filepath.Join(p.spool(), folder, e.ID+".json")
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(from, to); err != nil {
		p.t.Fatal(err)
	}
	at := time.Now().Add(-age)
	if err := os.Chtimes(to, at, at); err != nil {
		p.t.Fatal(err)
	}
}

func TestDoctorLines(t *testing.T) {
	p := newAccount(t)
	if err := p.install(func(o *installOptions) { o.webhookURL = madeUpWebhook }); err != nil {
		t.Fatal(err)
	}
	p.write(".bashrc", "")
	a := p.app()
	o := doctorOptions{setter: p.setter(a), now: time.Now, shells: []string{"bash"}}
	p.program(&o.setter)
	if err := o.run(t.Context()); exitCode(err) != exitFailed {
		t.Errorf("error %v", err)
	}
	for _, want := range []string{"✓ queue: nothing waits\n", "✗ hook bash: ", "\n  hint: sshnotify install\n", "this account: 1 failed, "} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("%q is not said:\n%s", want, p.out.String())
		}
	}
}

// Without --online nobody is asked anything; with it nothing is posted.
func TestDoctorOnline(t *testing.T) {
	for name, c := range map[string]struct {
		behave standin.Behave
		state  doctor.State
		text   string
	}{
		"Slack knows the webhook": {nil, doctor.OK, "without posting it"},
		"the webhook is revoked": {func(int, *http.Request) *standin.Answer { return &standin.Answer{Status: 403, Body: "invalid_token"} },
			doctor.Fail, `HTTP 403 "invalid_token"`},
		"Slack is down": {func(int, *http.Request) *standin.Answer { return &standin.Answer{Status: 503, Body: "no"} }, doctor.Warn, "HTTP 503"},
		"an answer that moves what is seen": {func(int, *http.Request) *standin.Answer { return &standin.Answer{Status: 404, Body: "a\x1b[2J\u202eb"} },
			doctor.Fail, "404"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			slack, err := standin.StartSlack(standin.SlackOptions{Behave: func(n int, r *http.Request) *standin.Answer {
				asked.Add(1)
				if c.behave == nil {
					return nil
				}
				return c.behave(n, r)
			}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(slack.Close)
			p := newAccount(t)
			if err := p.install(func(o *installOptions) { o.webhookURL = slack.URL() }); err != nil {
				t.Fatal(err)
			}
			if _, err := p.doctor(nil); err != nil {
				t.Fatal(err, p.out.String())
			}
			if n := asked.Load(); n != 0 {
				t.Errorf("Slack was asked %d times without --online", n)
			}
			got, _ := p.doctor(func(o *doctorOptions) { o.online = true })
			r := got["online slack"]
			if r.State != c.state || !strings.Contains(r.Message, c.text) || strings.ContainsAny(r.Message, "\x1b\u202e") {
				t.Errorf("%+v", r)
			}
			if len(slack.Messages()) != 0 || asked.Load() == 0 {
				t.Errorf("%d messages posted, %d requests", len(slack.Messages()), asked.Load())
			}
		})
	}
}

// Root's doctor looks at the host, unless root's own account is set up.
func TestDoctorOfRoot(t *testing.T) {
	p := newAccount(t)
	a := p.app()
	a.uid = 0
	o := doctorOptions{setter: p.setter(a), now: time.Now}
	if !o.isSystem() {
		t.Error("without a set-up of its own, root means the host")
	}
	if err := p.install(func(o *installOptions) { o.webhookURL = madeUpWebhook }); err != nil {
		t.Fatal(err)
	}
	if o.isSystem() {
		t.Error("root's own account is set up, and is not looked at")
	}
	o.whole = true
	if !o.isSystem() {
		t.Error("--system does nothing")
	}
}
