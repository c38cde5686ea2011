package jetstream

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sshnotify/sshnotify/internal/fleet"
)

// oldServer says in its greeting that it is an older nats-server, and answers what a
// client needs to be connected. It notes the subjects that are published to.
type oldServer struct {
	version string
	mu      sync.Mutex
	asked   []string
}

func (o *oldServer) start(t *testing.T) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go o.serve(c)
		}
	}()
	return "nats://" + l.Addr().String()
}

func (o *oldServer) serve(c net.Conn) {
	defer c.Close()
	info, err := json.Marshal(map[string]any{
		"server_id": "old", "server_name": "old1", "version": o.version, "proto": 1, "headers": true, "jetstream": true, "max_payload": 1 << 20,
		"auth_required": true, "nonce": "AAAAAAAAAAA",
	})
	if err != nil {
		panic(err) // of values that are above
	}
	fmt.Fprintf(c, "INFO %s\r\n", info)
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch strings.ToUpper(word) {
		case "PING":
			fmt.Fprint(c, "PONG\r\n")
		case "PUB", "HPUB":
			o.mu.Lock()
			o.asked = append(o.asked, rest)
			o.mu.Unlock()
		}
	}
}

// noted keeps what a log says, a line an entry.
type noted struct {
	mu   sync.Mutex
	text strings.Builder
}

func (n *noted) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(b)
}

func (n *noted) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

// By an older server hosts could get around their rights: the hub takes nothing of it,
// makes no stream there, and says which one is needed.
func TestAServerThatIsTooOld(t *testing.T) {
	t.Parallel()
	k := keys{}
	k.newUser(t, "hub")
	for _, row := range []struct {
		version string
		refused bool
	}{
		{"2.9.10", true}, // Debian 12's
		{"2.10.29", true},
		{"2.12.5", true},
		{"2.12.6-RC.1", true},
		{"2.12.6", false},
		{"2.15.3", false},
	} {
		t.Run(row.version, func(t *testing.T) {
			t.Parallel()
			o := &oldServer{version: row.version}
			url := o.start(t)
			var log noted
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				done <- quick.Serve(ctx, fleet.Settings{NATS: url, CredentialsFile: k["hub"]}, &memory{}, slog.New(slog.NewTextHandler(&log, nil)))
			}()
			asked := func() []string {
				o.mu.Lock()
				defer o.mu.Unlock()
				return slices.Clone(o.asked)
			}
			if row.refused {
				eventually(t, "what the hub says of it", func() bool { return strings.Contains(log.String(), "nothing is taken from NATS") })
				if want := "the server old1 is nats-server " + row.version + ", which lets hosts get around their rights: at least 2.12.6 is needed"; !strings.Contains(log.String(), want) {
					t.Errorf("the hub says %q, want %q", log.String(), want)
				}
				if all := asked(); len(all) > 0 {
					t.Errorf("the hub asks it all the same: %q", all)
				}
			} else {
				eventually(t, "the hub to ask for its stream", func() bool { return len(asked()) > 0 })
				if strings.Contains(log.String(), "is needed") {
					t.Errorf("the hub says %q", log.String())
				}
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}
