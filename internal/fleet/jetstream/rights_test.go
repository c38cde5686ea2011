package jetstream

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// open is a connection with the rights of a host or the hub, for what no host of ours
// would do. What it is refused comes to the channel.
func (k keys) open(t testing.TB, url, name string) (*nats.Conn, <-chan error) {
	t.Helper()
	who, err := credentials(k[name])
	if err != nil {
		t.Fatal(err)
	}
	refused := make(chan error, 16)
	c, err := nats.Connect(url, who, nats.CustomInboxPrefix(inboxOf(name)),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, refused
}

// tries has a host that is not honest do what it must not be able to do.
func tries(t *testing.T, k keys, url string) {
	t.Helper()
	for name, do := range map[string]func(*nats.Conn) error{
		"publishes as another":           func(c *nats.Conn) error { return c.Publish("ev.web2.login", []byte("x")) },
		"beats as another":               func(c *nats.Conn) error { return c.Publish("beat.web2", []byte("x")) },
		"reads all events":               func(c *nats.Conn) error { _, err := c.SubscribeSync("ev.>"); return err },
		"reads its own events":           func(c *nats.Conn) error { _, err := c.SubscribeSync("ev.web1.>"); return err },
		"reads others' beats":            func(c *nats.Conn) error { _, err := c.SubscribeSync("beat.*"); return err },
		"reads the hub's inbox":          func(c *nats.Conn) error { _, err := c.SubscribeSync("_INBOX.>"); return err },
		"reads another's inbox":          func(c *nats.Conn) error { _, err := c.SubscribeSync("_INBOX_web2.>"); return err },
		"reads JetStream's events":       func(c *nats.Conn) error { _, err := c.SubscribeSync("$JS.EVENT.>"); return err },
		"reads the system's":             func(c *nats.Conn) error { _, err := c.SubscribeSync("$SYS.>"); return err },
		"purges the stream":              func(c *nats.Conn) error { return c.Publish("$JS.API.STREAM.PURGE.SSHNOTIFY", nil) },
		"deletes the stream":             func(c *nats.Conn) error { return c.Publish("$JS.API.STREAM.DELETE.SSHNOTIFY", nil) },
		"asks for messages":              func(c *nats.Conn) error { return c.Publish("$JS.API.CONSUMER.MSG.NEXT.SSHNOTIFY.hub", nil) },
		"acknowledges in the hub's name": func(c *nats.Conn) error { return c.Publish("$JS.ACK.SSHNOTIFY.hub.1.1.1.1.0", []byte("+ACK")) },
	} {
		c, refused := k.open(t, url, "web1")
		if err := do(c); err != nil {
			t.Fatal(name, err)
		}
		if err := c.Flush(); err != nil {
			t.Fatal(name, err)
		}
		select {
		case err := <-refused:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(30 * time.Second):
			t.Errorf("a host %s", name)
		}
	}
}

// forges has a host use the reply subject, which servers do not check, and the hub's
// own answers.
func forges(t *testing.T, k keys, url string, m *memory) {
	t.Helper()
	c, _ := k.open(t, url, "web1")
	honest, err := message("web1", "a", lines(1, 1)[0])
	if err != nil {
		t.Fatal(err)
	}
	honest.Reply = "ev.web2.login"
	if err := c.PublishMsg(honest); err != nil {
		t.Fatal(err)
	}
	if err := c.PublishRequest("beat.web1", "ev.web2.alert", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server's answer, kept apart", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return slices.Equal(m.rejected, []string{"ev.web2.login: it is no line of a host's"})
	})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for who := range m.got {
		if strings.HasPrefix(who, "web2 ") {
			t.Errorf("web2 is said to have handed over %v", m.got)
		}
	}
	if len(m.beats) > 0 {
		t.Errorf("answered with web2's subject: %v", m.beats)
	}
}

func TestRights(t *testing.T) {
	t.Parallel()
	k := keys{}
	n := start(t, k.accounts(t, "web1", "web2"))
	m := &memory{}
	k.serve(t, n.url(), m)
	handOver(t, k.host(t, n.url(), "web2"), fleet.Batch{Numbering: "z"}) // connected, and says nothing
	eventually(t, "the stream", func() bool { return hasStream(t, k, n.url()) })
	tries(t, k, n.url())
	forges(t, k, n.url(), m)
}

func hasStream(t testing.TB, k keys, url string) bool {
	t.Helper()
	c, _ := k.open(t, url, "hub")
	defer c.Close()
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = js.Stream(t.Context(), stream)
	return err == nil
}

// What is no line of that host's is kept apart, and nobody is blamed.
func TestWhatNoHostSends(t *testing.T) {
	t.Parallel()
	k := keys{}
	n := start(t, k.accounts(t))
	m := &memory{}
	k.serve(t, n.url(), m)
	eventually(t, "the stream", func() bool { return hasStream(t, k, n.url()) })
	c, _ := k.open(t, n.url(), "hub")
	want := []string{}
	for _, tt := range []struct{ subject, numbering, host, body, why string }{
		{"ev.web1.login", "", "web1", `{"n":1,"event":{}}`, "it is no line of a host's"},
		{"ev.web1.login", strings.Repeat("x", 65), "web1", `{"n":1,"event":{}}`, "it is no line of a host's"},
		{"ev.web1.login", "a", "web2", `{"n":1,"event":{}}`, `it names the host "web2"`},
		{"ev.web1.login", "a", "", `{"n":1,"event":{}}`, `it names the host ""`},
		{"ev.WEB1.login", "a", "WEB1", `{"n":1,"event":{}}`, "the subject names no host"},
		{"ev.web1.login", "a", "web1", `{"n":1,"ev`, "it is no line of a host's"},
		{"ev.web1.login", "a", "web1", `{"n":0,"event":{}}`, "it has no event, or no number"},
		{"ev.web1.login", "a", "web1", `{"n":1}`, "it has no event, or no number"},
	} {
		msg := nats.NewMsg(tt.subject)
		msg.Data = []byte(tt.body)
		msg.Header.Set(numberingHeader, tt.numbering)
		msg.Header.Set(hostHeader, tt.host)
		if err := c.PublishMsg(msg); err != nil {
			t.Fatal(err)
		}
		want = append(want, tt.subject+": "+tt.why)
	}
	eventually(t, "all of it kept apart", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.rejected) == len(want)
	})
	slices.Sort(want)
	slices.Sort(m.rejected)
	if !slices.Equal(want, m.rejected) || m.count() > 0 {
		t.Errorf("got %q\nwant %q", m.rejected, want)
	}
}

// Whoever may publish at all chooses subject, headers and body.
func FuzzRead(f *testing.F) {
	f.Add("ev.web1.login", "a", "web1", []byte(`{"n":1,"event":{}}`))
	f.Add("ev.web2.login", "", "", []byte(`{"stream":"SSHNOTIFY","seq":5}`))
	f.Add("ev.*.>", "a", "*", []byte(`{"n":-1,"event":null}`))
	f.Fuzz(func(t *testing.T, subject, numbering, host string, data []byte) {
		got, run, l, err := read(subject, nats.Header{numberingHeader: {numbering}, hostHeader: {host}}, data)
		if err == nil && (!fleet.ValidName(got) || got != host || run == "" || len(run) > maxNumbering || l.Number < 1 || len(l.Event) == 0) {
			t.Errorf("%q is read as %q of %q: %+v", subject, run, got, l)
		}
	})
}

// What a host is not let do, it says so that somebody can mend it.
func TestWhyAHostIsNotLetIn(t *testing.T) {
	standin.Gate(t)
	t.Parallel()
	k := keys{}
	n := start(t, k.accounts(t, "web1", "web2"))
	k.newUser(t, "stranger")
	for _, tt := range []struct {
		name, url, host, keys string
		class                 fleet.Class
		hint                  string
	}{
		{"another host's name", n.url(), "web2", "web1", fleet.Refused, "the name in [hub]"},
		{"unknown to the servers", n.url(), "stranger", "stranger", fleet.Refused, "credentials_file"},
		{"no stream yet", n.url(), "web1", "web1", fleet.Again, "the hub makes the stream"},
		{"no server there", "nats://127.0.0.1:1", "web1", "web1", fleet.Again, "no NATS server"},
		{"no TLS", fmt.Sprintf("tls://127.0.0.1:%d", n.port), "web1", "web1", fleet.Refused, "must speak TLS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, err := Broker{}.Dial(fleet.Settings{URL: tt.url, Name: tt.host, CredentialsFile: k[tt.keys]})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			_, err = h.HandOver(t.Context(), fleet.Batch{Numbering: "a", Lines: lines(1, 2)})
			classed := (*fleet.Error)(nil)
			if !errors.As(err, &classed) || classed.Class != tt.class || !strings.Contains(classed.Hint, tt.hint) {
				t.Errorf("%v (%+v)", err, classed)
			}
			if tt.class == fleet.Refused {
				if _, err := h.Beat(t.Context(), fleet.Beat{}); !errors.As(err, &classed) || classed.Class != fleet.Refused {
					t.Errorf("its beat: %v", err)
				}
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	if _, err := credentials("/nowhere/nats.creds"); err == nil || !strings.Contains(err.Error(), "credentials_file") {
		t.Error(err)
	}
	if _, err := credentials("/etc/passwd"); err == nil || strings.Contains(err.Error(), "root:") {
		t.Error(err)
	}
}
