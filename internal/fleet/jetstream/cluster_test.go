package jetstream

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// nodeEnv names the settings file of a server, which this test's program is then
// instead: only a process of its own can be killed as by a power failure.
const nodeEnv = "SSHNOTIFY_TEST_NATS"

func TestMain(m *testing.M) {
	flag.Parse()
	file := os.Getenv(nodeEnv)
	if file == "" {
		os.Exit(m.Run())
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		panic(err)
	}
	o.NoSigs = true
	s, err := server.NewServer(o)
	if err != nil {
		panic(err)
	}
	s.ConfigureLogger()
	s.Start()
	s.WaitForShutdown()
}

// cluster is three servers, each a process.
type cluster struct {
	files []string
	nodes []*exec.Cmd
	urls  string
}

func startCluster(t testing.TB, accounts string) *cluster {
	t.Helper()
	var clients, routes []string
	for range 6 { // of ports that are free now
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if address := l.Addr().String(); len(clients) < 3 {
			clients = append(clients, address)
		} else {
			routes = append(routes, "nats://"+address)
		}
	}
	c := &cluster{nodes: make([]*exec.Cmd, 3), urls: "nats://" + strings.Join(clients, ",nats://")}
	dir := t.TempDir()
	for i := range 3 {
		options := fmt.Sprintf("server_name: n%d\nlisten: %q\nlog_file: %q\ncluster { name: test, listen: %q, routes: [%s] }\njetstream { store_dir: %q, sync_interval: always }\n%s",
			i, clients[i], filepath.Join(dir, fmt.Sprintf("n%d.log", i)), strings.TrimPrefix(routes[i], "nats://"), strings.Join(routes, ", "), filepath.Join(dir, fmt.Sprintf("n%d", i)), accounts)
		c.files = append(c.files, filepath.Join(dir, fmt.Sprintf("n%d.conf", i)))
		if err := os.WriteFile(c.files[i], []byte(options), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for i := range c.nodes {
			c.kill(i)
		}
	})
	return c
}

func (c *cluster) run(t testing.TB, i int) {
	t.Helper()
	c.nodes[i] = exec.Command(os.Args[0])
	c.nodes[i].Env = append(os.Environ(), nodeEnv+"="+c.files[i])
	c.nodes[i].Stderr = t.Output()
	if err := c.nodes[i].Start(); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) kill(i int) {
	if c.nodes[i] != nil {
		_ = c.nodes[i].Process.Kill()
		_ = c.nodes[i].Wait()
		c.nodes[i] = nil
	}
}

// BenchmarkCluster hands events over, one at a time a host, by three servers that sync
// each before they acknowledge it, and has the hub take them: each is at the hub when
// it ends.
func BenchmarkCluster(b *testing.B) {
	const hosts = 100
	var names []string
	for i := range hosts {
		names = append(names, fmt.Sprintf("web%d", i))
	}
	k := keys{}
	c := startCluster(b, k.accounts(b, names...))
	for i := range c.nodes {
		c.run(b, i)
	}
	m := &memory{}
	k.serveReplicas(b, c.urls, m, 3)
	eventually(b, "the stream", func() bool { return hasStream(b, k, c.urls) })
	var all []fleet.Transport
	for _, name := range names {
		all = append(all, k.host(b, c.urls, name))
	}
	event := []byte(`{"v":3,"kind":"login","x":"` + strings.Repeat("x", 560) + `"}`)
	var next, failed atomic.Int64
	var done sync.WaitGroup
	b.ResetTimer()
	for _, h := range all {
		done.Go(func() {
			for n := int64(1); next.Add(1) <= int64(b.N); n++ {
				for {
					if _, err := h.HandOver(b.Context(), fleet.Batch{Numbering: "a", Lines: []fleet.Line{{Number: n, Event: event}}}); err == nil {
						break
					}
					failed.Add(1)
				}
			}
		})
	}
	done.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acks/s")
	eventually(b, "all at the hub", func() bool { return m.count() == b.N })
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "taken/s")
	b.ReportMetric(float64(failed.Load()), "retries")
	var cpu time.Duration
	var peak int64 // KiB
	for _, node := range c.nodes {
		_ = node.Process.Kill()
		_ = node.Wait()
		cpu += node.ProcessState.UserTime() + node.ProcessState.SystemTime()
		peak = max(peak, int64(node.ProcessState.SysUsage().(*syscall.Rusage).Maxrss))
	}
	clear(c.nodes)
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N), "us-of-servers'-CPU/event")
	b.ReportMetric(float64(peak)/1024, "MiB-largest-server")
}

// crowdSize is how many hosts there are: few, or what SSHNOTIFY_FLEET says, as in
//
//	SSHNOTIFY_FLEET=hosts=2000 go test -timeout 30m -run '^TestServersAreKilled$' -v ./internal/fleet/jetstream
func crowdSize(t *testing.T, few int) int {
	t.Helper()
	for field := range strings.FieldsSeq(os.Getenv("SSHNOTIFY_FLEET")) {
		if n, ok := strings.CutPrefix(field, "hosts="); ok {
			hosts, err := strconv.Atoi(n)
			if err != nil || hosts < 1 {
				t.Fatalf("SSHNOTIFY_FLEET: %q", field)
			}
			return hosts
		}
	}
	return few
}

// crowd is hosts that hand over one event after the other, each until it is taken.
type crowd struct {
	pause       time.Duration // of each after an event
	sent, acked atomic.Int64
	all         sync.WaitGroup
	last        []int64 // of each host, the newest that was acknowledged
}

func (c *crowd) begin(ctx context.Context, t *testing.T, hosts []fleet.Transport) {
	c.last = make([]int64, len(hosts))
	for i, h := range hosts {
		c.all.Go(func() {
			for n := int64(1); ; n++ {
				b := fleet.Batch{Numbering: "a", Lines: lines(n, 1)}
				c.sent.Add(1)
				for tries := 0; ; tries++ {
					a, err := h.HandOver(t.Context(), b)
					if err == nil && a.Stored == 1 {
						break
					}
					if t.Context().Err() != nil {
						return
					}
					time.Sleep(100 * time.Millisecond)
				}
				c.acked.Add(1)
				c.last[i] = n
				if ctx.Err() != nil {
					return
				}
				time.Sleep(c.pause)
			}
		})
	}
}

// Each of three servers is killed in turn, then all three: what was acknowledged is at
// the hub, once.
func TestServersAreKilled(t *testing.T) {
	standin.Gate(t)
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	hosts := crowdSize(t, 10)
	// As many events a second as ten hosts make, however many there are; and what each
	// of them waits for takes the longer.
	pause, within := time.Duration(hosts)*time.Millisecond, 40*time.Second+time.Duration(hosts)*100*time.Millisecond
	var names []string
	for i := range hosts {
		names = append(names, fmt.Sprintf("web%d", i))
	}
	k := keys{}
	c := startCluster(t, k.accounts(t, names...))
	for i := range c.nodes {
		c.run(t, i)
	}
	m := &memory{}
	k.serveReplicas(t, c.urls, m, 3)
	watcher, _ := k.open(t, c.urls, "hub")
	js, err := jetstream.New(watcher, jetstream.WithDefaultTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	whole := func() bool {
		s, err := js.Stream(t.Context(), stream)
		if err != nil {
			return false
		}
		group := s.CachedInfo().Cluster
		return group != nil && group.Leader != "" && len(group.Replicas) == 2 &&
			!slices.ContainsFunc(group.Replicas, func(p *jetstream.PeerInfo) bool { return !p.Current || p.Offline })
	}
	seenWithin(t, within, "a stream on three servers", whole)
	var all []fleet.Transport
	for _, name := range names {
		all = append(all, k.host(t, c.urls, name))
	}
	ctx, stop := context.WithCancel(t.Context())
	acked := crowd{pause: pause}
	acked.begin(ctx, t, all)
	goesOn := func() {
		t.Helper()
		n := acked.acked.Load() + int64(hosts)
		seenWithin(t, within, "events that are acknowledged", func() bool { return acked.acked.Load() > n })
	}
	goesOn()
	for i := range c.nodes {
		c.kill(i)
		goesOn() // two of three are enough
		c.run(t, i)
		seenWithin(t, within, "a stream on three servers", whole)
	}
	for i := range c.nodes {
		c.kill(i)
	}
	for i := range c.nodes {
		c.run(t, i)
	}
	goesOn()
	stop()
	acked.all.Wait()
	seenWithin(t, within, "all that was acknowledged, at the hub", func() bool { return int64(m.count()) >= acked.acked.Load() })
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, name := range names {
		got := slices.Sorted(slices.Values(m.got[name+" a"]))
		for j, n := range got {
			if n != int64(j)+1 {
				t.Errorf("%s: %d is missing, or there is more than was sent", name, j+1)
				break
			}
		}
		if int64(len(got)) != acked.last[i] {
			t.Errorf("%s: %d events were acknowledged, and the hub has %d", name, acked.last[i], len(got))
		}
	}
	if len(m.rejected) > 0 || len(m.got) != hosts {
		t.Errorf("nobody sent %q; there are %q", m.rejected, slices.Sorted(maps.Keys(m.got)))
	}
	t.Logf("%d events were acknowledged, and are at the hub", acked.acked.Load())
}
