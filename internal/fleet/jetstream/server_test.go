package jetstream

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/sshnotify/sshnotify/internal/fleet"
)

// quick is impatient: nobody shares its servers.
var quick = Broker{answer: 2 * time.Second, jitter: 100 * time.Millisecond}

// keys are the nkeys of a server's users: "hub", and hosts by their names.
type keys map[string]string // name → file of the seed

// newUser makes an nkey, and returns its public key.
func (k keys) newUser(t testing.TB, name string) string {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	k[name] = filepath.Join(t.TempDir(), name+".nk")
	if err := os.WriteFile(k[name], append(seed, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	return public
}

// accounts are those of the facts: a hub that may do all in its account, and hosts that
// may publish in their own names.
func (k keys) accounts(t testing.TB, hosts ...string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "accounts { SSHN { jetstream: enabled, users: [\n  { nkey: %s }\n", k.newUser(t, "hub"))
	for _, h := range hosts {
		fmt.Fprintf(&b, "  { nkey: %s, permissions: { publish: [\"ev.%[2]s.>\", \"beat.%[2]s\"], subscribe: [\"_INBOX_%[2]s.>\"] } }\n", k.newUser(t, h), h)
	}
	return b.String() + "] } }\n"
}

// node is a server in this process.
type node struct {
	*server.Server
	options string
	port    int
}

// start runs a server with the options, and JetStream of a folder of the test's.
func start(t *testing.T, options string) *node {
	t.Helper()
	n := &node{options: options + fmt.Sprintf("\njetstream { store_dir: %q, sync_interval: always }\n", t.TempDir()), port: -1}
	n.run(t)
	t.Cleanup(func() { n.stop() })
	return n
}

func (n *node) run(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(n.options), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	o.Host, o.Port, o.NoLog, o.NoSigs = "127.0.0.1", n.port, true, true
	if n.Server, err = server.NewServer(o); err != nil {
		t.Fatal(err)
	}
	n.Start()
	if !n.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not come up")
	}
	n.port = n.Addr().(*net.TCPAddr).Port
}

func (n *node) stop() {
	n.Shutdown()
	n.WaitForShutdown()
}

func (n *node) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", n.port) }

func (k keys) host(t testing.TB, url, name string) fleet.Transport {
	t.Helper()
	h, err := quick.Dial(fleet.Settings{URL: url, Name: name, CredentialsFile: k[name]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}
