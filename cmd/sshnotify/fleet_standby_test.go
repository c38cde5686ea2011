package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// A host that stands by takes over with a copy of a while ago, while the hub was
// killed with a digest on its way. Hosts send again what the copy has not, and
// everything is told, by one of the two or by both, with the same refs.
func TestFleetStandbyTakesOver(t *testing.T) {
	e2e(t)
	t.Parallel()
	dir := swiftDir(t)
	var hang atomic.Bool
	slack, err := standin.StartSlack(standin.SlackOptions{Behave: func(int, *http.Request) *standin.Answer {
		if hang.Load() {
			return &standin.Answer{Accept: true, Hang: true}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(slack.Close)
	settings := toldSettings + fmt.Sprintf("[destination.team]\ntype = \"slack\"\nwebhook_url = %q\n", slack.URL())
	first := newFleetHub(t, filepath.Join(dir, "hub1"), settings)
	hosts := first.mustJoin("web1", "web2", "web3")
	for _, s := range hosts {
		s.logins(t, 2)
	}
	settled(t, first, hosts, 6, patience)

	// A host without the right may not have the database.
	if err := os.MkdirAll(filepath.Join(dir, "curious"), 0o700); err != nil {
		t.Fatal(err)
	}
	curious := newRealHostBy(t, filepath.Join(dir, "curious"), "curious", first.token("--name", "curious"), first, "", "--standby")
	curious.work()
	until(t, "the refusal", func() bool {
		return strings.Contains(curious.worker.err.String(), "only a standby may have the database")
	})
	curious.worker.signal(syscall.SIGTERM)
	curious.worker.result()
	if got := curious.run(nil, "fleet", "takeover", "--config", curious.settings); got.code != 1 || !strings.Contains(got.stderr, "there is no copy") {
		t.Errorf("%+v", got)
	}

	if err := os.MkdirAll(filepath.Join(dir, "hub2"), 0o700); err != nil {
		t.Fatal(err)
	}
	second := newRealHostBy(t, filepath.Join(dir, "hub2"), "hub2", first.token("--name", "hub2", "--standby"), first, "", "--standby")
	second.work()
	copied := filepath.Join(second.state, "hub", "copy.db")
	until(t, "the copy", func() bool { _, err := os.Stat(copied); return err == nil })
	if st, err := os.Stat(copied); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st, err)
	}

	// What comes after the copy, of which a digest is half sent when the hub dies.
	before := len(slack.Messages())
	hang.Store(true)
	hosts[0].logins(t, 30)
	hosts[1].logins(t, 3)
	settled(t, first, hosts, 39, patience)
	until(t, "a message that is half sent", func() bool { return len(slack.Messages()) > before })
	first.kill()
	hang.Store(false)

	if got := second.run(nil, "fleet", "takeover", "--config", second.settings); got.code != 1 || !strings.Contains(got.stderr, "the worker runs") {
		t.Errorf("%+v", got)
	}
	second.worker.signal(syscall.SIGTERM)
	second.worker.result()
	if got := second.run(nil, "fleet", "takeover", "--config", second.settings); got.code != 0 || !strings.Contains(got.stderr, "listen = ") {
		t.Fatalf("%+v", got)
	}
	half := len(slack.Messages())
	// It has the first one's settings and address, and its own database.
	text, err := os.ReadFile(first.settings)
	if err != nil {
		t.Fatal(err)
	}
	first.state, first.spool, first.settings = second.state, second.spool, second.settings
	own := strings.NewReplacer(filepath.Join(dir, "hub1", "state"), second.state, filepath.Join(dir, "hub1", "spool"), second.spool).Replace(string(text))
	first.configure(own)
	if err := os.Remove(filepath.Join(filepath.Dir(second.settings), "conf.d", "hub.toml")); err != nil {
		t.Fatal(err)
	}
	first.launch()
	for i, want := range []struct {
		have int64
		sent int
	}{{2, 30}, {2, 3}, {2, 0}} {
		if have, sent := hosts[i].askAgain(t); have != want.have || sent != want.sent {
			t.Errorf("%s: the hub says it has %d, and was sent %d again; want %+v", hosts[i].name, have, sent, want)
		}
		hosts[i].logins(t, 1)
	}
	settled(t, first, hosts, 42, patience)
	until(t, "what was half sent to be told by the second hub", func() bool { return len(slack.Messages()) > half })
	oracle(t, first, hosts, nil, 33)
}
