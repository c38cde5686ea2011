package cmd

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/report"
	"github.com/sshnotify/sshnotify/internal/store"
)

// The file is its owner's alone, replaces what was there as a whole, and follows no
// link; what somebody has to answer stands in it with the command.
func TestReportFile(t *testing.T) {
	p := remembering(t)
	out := filepath.Join(p.home, "out.html")
	p.runs(exitFailed, "report", "-o", out) // nothing is remembered
	if _, err := os.Stat(out); err == nil {
		t.Error("a file of nothing was made")
	}
	thief := history.Entry{ID: event.NewID(), Time: time.Now().Add(-time.Hour), User: "root", Host: "db1", Key: bobKey, IP: netip.MustParseAddr("8.8.8.8"), Source: history.SourceSeen,
		Severity: event.Critical, Reasons: []string{"new_country"}, Untaught: true, Told: true}
	p.remember(thief)
	victim := filepath.Join(p.home, "victim")
	p.write("victim", "mine")
	if err := os.Symlink(victim, out); err != nil {
		t.Fatal(err)
	}
	p.runs(exitDone, "report", "-o", out)
	page, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(out); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if b, _ := os.ReadFile(victim); string(b) != "mine" {
		t.Errorf("a link was followed: %.40q", b)
	}
	for _, s := range []string{"sshnotify ack " + event.Ref(thief.ID), "<bdi>bob</bdi>", "United States", "1 of 1 login was unusual"} {
		if !strings.Contains(string(page), s) {
			t.Errorf("the page has no %q", s)
		}
	}
	p.runs(exitDone, "report", "--json", "-o", "-")
	var said report.Page
	if err := json.Unmarshal(p.out.Bytes(), &said); err != nil || said.Unusual != 1 || len(said.Waiting) != 1 || len(said.Places) != 1 {
		t.Errorf("%v: %s", err, p.out.String())
	}
	p.runs(exitFailed, "report", "-o", p.home)
	p.runs(exitUsage, "report", "--since", "2999-01-01")
	p.runs(exitUsage, "report", "--since", "")
	p.runs(exitUsage, "report", "--since", "soon")
}

// A year of a hundred hosts, to each of which somebody logs in twice a day.
func BenchmarkReportOfAYear(b *testing.B) {
	now := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	dir := b.TempDir()
	st, err := store.Open(databaseFile(dir), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	db := history.New(st, history.Options{})
	rnd := rand.New(rand.NewPCG(3, 4))
	const some, times = 1000, 73
	for i := range some { // the others are copies of these, at other times
		u := rnd.IntN(300)
		e := history.Entry{ID: fmt.Sprintf("%022X", i), Time: now.Add(time.Duration(-i) * time.Minute), Host: fmt.Sprintf("web%d", rnd.IntN(100)), User: fmt.Sprintf("user%d", u), Service: "sshd",
			Method: "publickey", Key: fmt.Sprintf("SHA256:%043d", u), IP: netip.AddrFrom4([4]byte{203, 0, byte(u), byte(rnd.IntN(3))}), ASN: uint32(64496 + u%200), ASName: fmt.Sprintf("EXAMPLE-%d", u%200),
			Place: event.Place{Country: "IE", City: fmt.Sprintf("City %d", u%90), Point: &event.Point{Lat: float64(u%120 - 50), Lon: float64(u%300 - 140)}}, Source: history.SourceSeen, Usual: true}
		if rnd.IntN(200) == 0 {
			e.Severity, e.Reasons = event.High, []string{"new_country"}
		}
		if err := db.Record(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
	for i := 1; i < times; i++ {
		if err := st.Write(b.Context(), store.CheckLimit, func(t *store.Tx) error {
			_, err := t.Exec(`INSERT INTO login(id, time, ip, port, severity, usual, source, g_host, g_user, g_user_host, g_address, g_network, g_country, g_key, g_detail, g_known, g_host_network, g_host_country, g_pair)
				SELECT substr(id, 1, 22) || printf('%04d', ?1), time - ?1 * 5 * 24 * 3600 * 1000, ip, port, severity, usual, source, g_host, g_user, g_user_host, g_address, g_network, g_country, g_key, g_detail, g_known, g_host_network, g_host_country, g_pair
				FROM login WHERE n <= ?2`, i, some)
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
	st.Close()
	size := 0
	for b.Loop() {
		p, err := gatherReport(b.Context(), config.Default(), dir, report.Options{Since: now.AddDate(-1, 0, 0), Now: now})
		if err != nil {
			b.Fatal(err)
		}
		var w counter
		if err := p.HTML(&w); err != nil || p.Logins != some*times {
			b.Fatal(p.Logins, err)
		}
		size = int(w)
	}
	b.ReportMetric(float64(size), "bytes")
}

// counter counts what is written.
type counter int

func (c *counter) Write(b []byte) (int, error) { *c += counter(len(b)); return len(b), nil }

// What goes out by itself, and what a hub serves, say what is remembered, masked where
// that is wanted, by the settings of now, and change nothing.
func TestReportThatGoesOut(t *testing.T) {
	p := remembering(t)
	p.set("[report]\nevery = \"mon 08:00\"\nmask = true\nurl = \"https://hub.example.com:8443/report\"\ndestination = \"log\"\n")
	now := time.Now()
	var odd []history.Entry
	for i := range 12 { // more than a message names
		odd = append(odd, history.Entry{ID: event.NewID(), Time: now.Add(-time.Duration(12-i) * time.Hour), User: fmt.Sprintf("mallory%d", i), Host: "db1", Key: bobKey, IP: netip.MustParseAddr("8.8.8.8"), Source: history.SourceSeen,
			Severity: event.Critical, Reasons: []string{"new_country"}, Untaught: true, Told: true})
	}
	p.remember(odd...)
	c, err := config.Load(filepath.Join(p.home, "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(p.databaseFile())
	if err != nil {
		t.Fatal(err)
	}
	out := sentReport(c, filepath.Join(p.home, "state"))
	if out.Every.String() != "mon 08:00" || out.Since != 7*24*time.Hour {
		t.Errorf("%+v", out)
	}
	d, html, err := out.Make(t.Context(), now.Add(-out.Since), now)
	if err != nil {
		t.Fatal(err)
	}
	r := d.Report
	if d.Of != event.KindReport || r.Logins != 12 || r.Unusual != 12 || len(d.Unanswered) != 8 || d.MoreUnanswered != 4 || r.URL != "https://hub.example.com:8443/report" || len(r.Only) != 1 {
		t.Errorf("%+v, %+v", d, r)
	}
	if u := d.Unanswered[0]; u.Severity != event.Critical || u.Since.IsZero() || len(u.Ref) != 4 || len(u.Hosts) != 1 || len(u.Reasons) != 1 {
		t.Errorf("%+v", u)
	}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for what, s := range map[string]string{"the message": string(text), "the page": string(html)} {
		if strings.Contains(s, "mallory") || strings.Contains(s, "8.8.8.8") {
			t.Errorf("%s is masked, and names somebody: %s", what, s)
		}
	}
	// It fits an event, whatever people are called.
	e := event.Event{ID: event.NewID(), Kind: event.KindDigest, Time: now, Via: event.ViaSelf, Digest: &d}
	if b, err := e.Encode(); err != nil || len(b) > event.MaxSize/2 {
		t.Errorf("%d bytes, %v", len(b), err)
	} else if back, err := event.Decode(b); err != nil || back.Digest.Report.Sentence != r.Sentence {
		t.Errorf("%+v, %v", back, err)
	}

	serve := servedPage(c, filepath.Join(p.home, "state"), func() (config.Config, error) { return config.Load(filepath.Join(p.home, "config.toml")) }, time.Now)
	page := func(o hub.PageOptions) string {
		t.Helper()
		b, err := serve(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if s := page(hub.PageOptions{Since: 24 * time.Hour}); !strings.Contains(s, "mallory11") || !strings.Contains(s, "12 of 12 logins were unusual") {
		t.Error("the page of a day has not what came in it")
	}
	if s := page(hub.PageOptions{Since: 90 * time.Minute}); !strings.Contains(s, "1 of 1 login was unusual") {
		t.Error("the page of an hour has more than that")
	}
	if s := page(hub.PageOptions{Since: 24 * time.Hour, Mask: true}); strings.Contains(s, "mallory") {
		t.Error("the masked page names somebody")
	}
	p.set("[person.\"Erin Byrne\"]\naccounts = [\"mallory11\"]\n")
	if s := page(hub.PageOptions{Since: 24 * time.Hour}); !strings.Contains(s, "Erin Byrne") {
		t.Error("the page is not by the settings of now")
	}
	p.write("config.toml", "broken")
	if s := page(hub.PageOptions{Since: 24 * time.Hour}); !strings.Contains(s, "Erin Byrne") {
		t.Error("with settings that are broken, those before do not stay")
	}
	if after, err := os.ReadFile(p.databaseFile()); err != nil || string(after) != string(before) {
		t.Errorf("the database was changed, %v", err)
	}
}
