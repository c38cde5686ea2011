package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fleetSize is how large the simulated fleet is: the gate's, or what
// SSHNOTIFY_FLEET says, as in
//
//	SSHNOTIFY_FLEET='hosts=2000 rate=300 for=2m kill=10s' go test -timeout 20m -run '^TestFleetHubThatIsAlwaysKilled$' -v ./cmd/sshnotify
type fleetSize struct {
	hosts int           // generated
	real  int           // processes of the program's own, with spools
	rate  int           // logins a second; 0: every host at once, by chance within for
	span  time.Duration // for: how long logins come
	kill  time.Duration // between kills, about; 0: none
	wait  time.Duration // for what is to come, at most
}

func newFleetSize(t testing.TB, z fleetSize) fleetSize {
	t.Helper()
	for _, field := range strings.Fields(os.Getenv("SSHNOTIFY_FLEET")) {
		key, value, _ := strings.Cut(field, "=")
		n, nErr := strconv.Atoi(value)
		d, dErr := time.ParseDuration(value)
		switch key {
		case "hosts":
			z.hosts, dErr = n, nil
		case "real":
			z.real, dErr = n, nil
		case "rate":
			z.rate, dErr = n, nil
		case "for":
			z.span, nErr = d, nil
		case "kill":
			z.kill, nErr = d, nil
		case "wait":
			z.wait, nErr = d, nil
		default:
			t.Fatalf("SSHNOTIFY_FLEET: what is %q?", key)
		}
		if nErr != nil || dErr != nil {
			t.Fatalf("SSHNOTIFY_FLEET: %q", field)
		}
	}
	return z
}

// joined is what a host that joined has.
type joined struct {
	name string
	cert tls.Certificate
	ca   *x509.Certificate
}

// config is the TLS of a host: nothing older than 1.3, and no CA but the hub's.
func (j joined) config() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(j.ca)
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{j.cert}, MinVersion: tls.VersionTLS13, ServerName: "localhost"}
}

// join joins by a token as any program may that knows the protocol: it believes
// the CA whose hash the token has, and asks it for a certificate of a new key.
func (h *fleetHub) join(token, name string) (joined, answer, error) {
	_, encoded, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return joined{}, answer{}, err
	}
	var what struct {
		Secret string
		CA     []byte // SHA-256
	}
	if err := json.Unmarshal(raw, &what); err != nil {
		return joined{}, answer{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return joined{}, answer{}, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}}, key)
	if err != nil {
		return joined{}, answer{}, err
	}
	var ca *x509.Certificate
	config := &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, ServerName: "localhost", VerifyConnection: func(s tls.ConnectionState) error {
		for _, c := range s.PeerCertificates {
			if sum := sha256.Sum256(c.Raw); bytes.Equal(sum[:], what.CA) {
				ca = c
				return s.PeerCertificates[0].CheckSignatureFrom(c)
			}
		}
		return errors.New("the hub does not show the token's CA")
	}}
	body, err := json.Marshal(map[string]string{"token": what.Secret, "csr": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}))})
	if err != nil {
		return joined{}, answer{}, err
	}
	host := newSimHost(name, h.url(), config)
	defer host.client.CloseIdleConnections()
	a, err := host.post(context.Background(), "/v1/join", http.Header{"Content-Type": {"application/json"}}, body)
	if err != nil || a.status != http.StatusOK {
		return joined{}, a, err
	}
	var got struct{ Certificate string }
	if err := json.Unmarshal(a.body, &got); err != nil {
		return joined{}, a, err
	}
	block, _ := pem.Decode([]byte(got.Certificate))
	if block == nil {
		return joined{}, a, fmt.Errorf("no certificate in %q", a.body)
	}
	return joined{name: name, ca: ca, cert: tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}}, a, nil
}

// mustJoin joins hosts by one token, a few at a time.
func (h *fleetHub) mustJoin(names ...string) []*simHost {
	h.t.Helper()
	token := h.token("--uses", strconv.Itoa(len(names)))
	hosts := make([]*simHost, len(names))
	next := make(chan int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range next {
				for end := time.Now().Add(patience); ; {
					j, a, err := h.join(token, names[i])
					if err == nil && a.status == http.StatusOK {
						hosts[i] = newSimHost(names[i], h.url(), j.config())
						break
					}
					// Many at once may be asked to come again.
					if s, e := strconv.Atoi(a.retryAfter); err == nil && e == nil && a.status == http.StatusTooManyRequests && time.Now().Before(end) {
						time.Sleep(time.Duration(s) * time.Second)
						continue
					}
					h.t.Errorf("%s does not join: %d %s %v", names[i], a.status, a.body, err)
					break
				}
			}
		})
	}
	for i := range names {
		next <- i
	}
	close(next)
	wg.Wait()
	if h.t.Failed() {
		h.t.FailNow()
	}
	return hosts
}

// hostNames returns n names.
func hostNames(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return names
}

// realHost is a host that is the program itself, with a spool, and a worker that
// hands over.
type realHost struct {
	*site
	name   string
	logins int
	worker *process
}

// newRealHost makes one that has joined by a token.
func newRealHost(t testing.TB, dir, name string, h *fleetHub, more string) *realHost {
	t.Helper()
	return newRealHostBy(t, dir, name, h.token("--name", name), h, more)
}

// newRealHostBy is newRealHost with a token, and more to join with.
func newRealHostBy(t testing.TB, dir, name, token string, h *fleetHub, more string, joining ...string) *realHost {
	t.Helper()
	r := &realHost{name: name, site: &site{
		t: t, dir: dir, small: true,
		spool: filepath.Join(dir, "spool"), state: filepath.Join(dir, "state"), settings: filepath.Join(dir, "config.toml"),
	}}
	if err := os.MkdirAll(r.spool, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.endWorkers)
	r.configure(fmt.Sprintf("host = %q\nstate_dir = %q\nspool_dir = %q\n", name, r.state, r.spool) + more)
	file := filepath.Join(dir, "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	url := "https://localhost:" + h.address[strings.LastIndexByte(h.address, ':')+1:]
	if j := r.run(nil, append([]string{"fleet", "join", url, "--token-file", file, "--name", name, "--config", r.settings}, joining...)...); j.code != 0 {
		t.Fatalf("fleet join: %+v", j)
	}
	return r
}

// work starts its worker.
func (r *realHost) work() {
	r.worker = r.start(call{args: []string{"deliver", "--follow", "--spool", r.spool, "--config", r.settings}})
}

// comes queues a login of a user who never came before.
func (r *realHost) comes() string {
	r.t.Helper()
	r.logins++
	user := fmt.Sprintf("real%d", r.logins)
	env := pamEnv("open_session", user, aliceIP)
	env[0] = fmt.Sprintf("SSH_CONNECTION=%s %d 192.0.2.5 22", aliceIP, 1024+r.logins)
	r.hook(env)
	return r.name + "/" + user
}

// oracle insists that everything that was acknowledged, and everything that real
// hosts had in their spools, was told; that nothing was invented; and that what
// was told twice has one ref. A kill of the hub makes as many copies as it has
// lines under way, which is one.
func oracle(t *testing.T, h *fleetHub, hosts []*simHost, more map[string]bool, kills int) {
	t.Helper()
	byKey, other := h.told.logins()
	want := 0
	missing, invented, differ, copies := []string{}, []string{}, []string{}, 0
	known := make(map[string]string) // key → ref; empty: a real host's
	for _, s := range hosts {
		s.mu.Lock()
		for key, l := range s.acked {
			known[key] = l.id[:4]
		}
		if len(s.waiting) > 0 {
			t.Errorf("%s: %d wait", s.name, len(s.waiting))
		}
		for _, f := range s.faults {
			t.Error(f)
		}
		s.mu.Unlock()
	}
	for key := range more {
		known[key] = ""
	}
	for key, ref := range known {
		want++
		all := byKey[key]
		if len(all) == 0 {
			missing = append(missing, key)
			continue
		}
		copies += len(all) - 1
		for _, l := range all {
			if len(l.Refs) != 1 || l.Refs[0] != all[0].Refs[0] || ref != "" && l.Refs[0] != ref {
				differ = append(differ, fmt.Sprint(key, l.Refs, ref))
			}
		}
	}
	for key := range byKey {
		if _, ok := known[key]; !ok {
			invented = append(invented, key)
		}
	}
	for _, l := range other {
		t.Errorf("told beside the logins: %+v", l)
	}
	few := func(s []string) []string { slices.Sort(s); return s[:min(len(s), 10)] }
	if len(missing) > 0 {
		t.Errorf("%d of %d were acknowledged and never told: %q", len(missing), want, few(missing))
	}
	if len(invented) > 0 {
		t.Errorf("%d were told that nobody made: %q", len(invented), few(invented))
	}
	if len(differ) > 0 {
		t.Errorf("%d have another ref: %q", len(differ), few(differ))
	}
	if copies > kills {
		t.Errorf("%d were told twice, with %d kills", copies, kills)
	}
	if len(h.told.broken) > kills {
		t.Errorf("%d broken lines, with %d kills: %q", len(h.told.broken), kills, h.told.broken)
	}
	t.Logf("%d logins of %d hosts: all told, %d twice", want, len(hosts), copies)
}

// settled waits until hosts have nothing that waits and the hub has told n.
func settled(t *testing.T, h *fleetHub, hosts []*simHost, n int, limit time.Duration) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		waiting := 0
		for _, s := range hosts {
			s.mu.Lock()
			waiting += len(s.waiting)
			s.mu.Unlock()
		}
		h.told.read()
		h.told.mu.Lock()
		told := len(h.told.first)
		h.told.mu.Unlock()
		if waiting == 0 && told >= n {
			return
		}
		if time.Now().After(end) {
			t.Errorf("after %v %d wait at the hosts, and %d of %d were told", limit, waiting, told, n)
			return
		}
	}
}

// report logs the figures of a run.
func report(t *testing.T, h *fleetHub, hosts []*simHost, before cost, took time.Duration) {
	t.Helper()
	var all []time.Duration
	var slowest time.Duration
	events, asks := 0, 0
	for _, s := range hosts {
		s.mu.Lock()
		all = append(all, s.took...)
		slowest = max(slowest, s.slowest)
		events += len(s.acked)
		asks += s.asks
		s.mu.Unlock()
	}
	slices.Sort(all)
	if len(all) == 0 {
		return
	}
	spent := h.spent()
	t.Logf("%d events in %v: %.0f/s; %d requests acknowledged, p50 %v, p99 %v; %d others; slowest event %v; hub: peak %.0f MiB, %.1f s of CPU, %.0f %% of a core",
		events, took.Round(time.Millisecond), float64(events)/took.Seconds(), len(all), all[len(all)/2].Round(100*time.Microsecond), all[len(all)*99/100].Round(100*time.Microsecond),
		asks, slowest.Round(time.Millisecond), spent.peak, (spent.cpu - before.cpu).Seconds(), 100*(spent.cpu-before.cpu).Seconds()/took.Seconds())
}

// Hosts with certificates of their own hand logins over to a hub that is killed
// again and again, some of them as the program itself with spools. What was
// acknowledged is told, nothing is invented, and what is told twice is the same.
func TestFleetHubThatIsAlwaysKilled(t *testing.T) {
	e2e(t)
	t.Parallel()
	z := newFleetSize(t, fleetSize{hosts: 57, real: 3, rate: 60, span: 8 * time.Second, kill: 1500 * time.Millisecond, wait: time.Minute})
	dir := swiftDir(t)
	h := newFleetHub(t, filepath.Join(dir), toldSettings)
	start := time.Now()
	hosts := h.mustJoin(hostNames("web", z.hosts)...)
	t.Logf("%d hosts joined in %v", len(hosts), time.Since(start).Round(time.Millisecond))
	var real []*realHost
	for i := range z.real {
		r := newRealHost(t, filepath.Join(dir, fmt.Sprintf("host%d", i)), fmt.Sprintf("real%d", i), h, "")
		r.work()
		real = append(real, r)
	}

	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for _, s := range hosts {
		running.Go(func() { s.run(ctx) })
	}
	before := h.spent()
	start = time.Now()
	end := start.Add(z.span)
	var load sync.WaitGroup
	load.Go(func() { // the generated ones
		if z.rate == 0 {
			at := make([]time.Duration, len(hosts))
			for i := range at {
				at[i] = mathrand.N(z.span)
			}
			slices.Sort(at)
			for i, s := range hosts {
				time.Sleep(time.Until(start.Add(at[i])))
				s.login(time.Now())
			}
			return
		}
		for n := 0; time.Now().Before(end); n++ {
			time.Sleep(time.Until(start.Add(time.Duration(n) * time.Second / time.Duration(z.rate))))
			hosts[mathrand.N(len(hosts))].login(time.Now())
		}
	})
	more := make(map[string]bool)
	load.Go(func() { // the real ones
		for time.Now().Before(end) && len(real) > 0 {
			more[real[mathrand.N(len(real))].comes()] = true
			time.Sleep(mathrand.N(400 * time.Millisecond))
		}
	})
	kills := 0
	load.Go(func() {
		for z.kill > 0 {
			time.Sleep(z.kill/2 + mathrand.N(z.kill))
			if !time.Now().Before(end) {
				return
			}
			if h.kill() {
				kills++
			}
			time.Sleep(mathrand.N(300 * time.Millisecond))
			h.begin()
		}
	})
	load.Wait()
	n := len(more)
	for _, s := range hosts {
		s.mu.Lock()
		n += int(s.n)
		s.mu.Unlock()
	}
	settled(t, h, hosts, n, z.wait)
	report(t, h, hosts, before, time.Since(start))
	t.Logf("%d kills", kills)
	oracle(t, h, hosts, more, kills)
	for _, s := range hosts {
		a, err := s.beat(ctx)
		if err != nil || a.status != http.StatusOK || a.Have != s.n {
			t.Errorf("%s: all %d numbers are at the hub, and it says %d %s %v", s.name, s.n, a.status, bytes.TrimSpace(a.body), err)
			break
		}
	}
	for _, r := range real {
		until(t, r.name+" to have an empty spool", func() bool { return len(r.left("new"))+len(r.left("cur")) == 0 })
	}
	if z.kill > 0 && kills == 0 {
		t.Error("the hub was never killed")
	}
}

// otherSecret returns a token for the same hub that it never made.
func otherSecret(token string) (string, error) {
	head, encoded, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return "", err
	}
	var what map[string]any
	if err := json.Unmarshal(raw, &what); err != nil {
		return "", err
	}
	what["secret"] = rand.Text()
	raw, err = json.Marshal(what)
	return head + "." + base64.RawURLEncoding.EncodeToString(raw), err
}

// One person who starts a playbook on 40 hosts is two messages: the first login at
// once, and one of all the others.
func TestFleetFortyHostsAreTwoMessages(t *testing.T) {
	e2e(t)
	t.Parallel()
	h := newFleetHub(t, swiftDir(t), toldSettings)
	h.stop()
	h.configure(fmt.Sprintf("host = \"hub\"\ntime_zone = \"UTC\"\nstate_dir = %q\nspool_dir = %q\nnotify = \"all\"\n[group]\nwindow = \"6s\"\n[hub]\nlisten = %q\n[destination.slack]\nwebhook_url = %q\n",
		h.state, h.spool, h.address, h.slack.URL()))
	h.launch()
	hosts := h.mustJoin(hostNames("web", 40)...)
	var all sync.WaitGroup
	for i, s := range hosts {
		all.Go(func() {
			time.Sleep(time.Duration(i) * 50 * time.Millisecond)
			fields := map[string]any{
				"remote": map[string]any{"ip": "203.0.113.7", "port": 50000 + i},
				"login":  map[string]any{"auth": map[string]any{"method": "publickey", "key_type": "ssh-ed25519", "fingerprint": "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA"}},
			}
			a, err := s.say(t.Context(), fmt.Sprintf(`{"n":1,"event":%s}`+"\n", s.over("alice", fields)))
			if err != nil || a.status != http.StatusOK || a.Stored != 1 {
				t.Errorf("%s: %d %s %v", s.name, a.status, a.body, err)
			}
		})
	}
	all.Wait()
	messages := h.wait(2)
	if first := string(messages[0].Raw); !strings.Contains(first, "web0") || strings.Contains(first, "web1") {
		t.Errorf("the first message is not that of the first login: %s", first)
	}
	if rest := string(messages[1].Raw); !strings.Contains(rest, "39") || !strings.Contains(rest, "web1") {
		t.Errorf("the second message does not tell of 39 hosts: %s", rest)
	}
	time.Sleep(8 * time.Second) // a third would have come
	if n := len(h.slack.Messages()); n != 2 {
		t.Errorf("%d messages", n)
	}
}

// Of the week's logins of hosts that were cut off none is lost, and logins of now come
// through meanwhile. What these wait for is logged: a file is told everything in
// order, what was claimed first before it.
func TestFleetFreshBesideTheBacklog(t *testing.T) {
	e2e(t)
	t.Parallel()
	z := newFleetSize(t, fleetSize{hosts: 40, rate: 40, wait: 2 * time.Minute})
	h := newFleetHub(t, swiftDir(t), toldSettings)
	hosts := h.mustJoin(append(hostNames("web", z.hosts), "fresh")...)
	fresh := hosts[z.hosts]
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	week := z.rate // of each host
	for _, s := range hosts[:z.hosts] {
		for i := range week {
			s.login(time.Now().Add(-7*24*time.Hour + time.Duration(i)*time.Hour/2))
		}
		running.Go(func() { s.run(ctx) })
	}
	backlog := z.hosts * week
	start := time.Now()
	var slowest time.Duration
	n := 0
	for ; ; n++ {
		made := time.Now()
		key := fresh.login(made)
		fresh.empty(t)
		until(t, "the fresh login to be told", func() bool { _, ok := h.told.seen(key); return ok })
		h.told.mu.Lock()
		told := len(h.told.first)
		h.told.mu.Unlock()
		if told > backlog {
			break
		}
		slowest = max(slowest, time.Since(made))
		if time.Since(start) > z.wait {
			t.Fatalf("%d of %d told after %v", told, backlog, z.wait)
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Logf("%d fresh logins while a backlog of %d was told within %v, the slowest after %v", n, backlog, time.Since(start).Round(time.Millisecond), slowest.Round(time.Millisecond))
	settled(t, h, hosts, backlog+n+1, z.wait)
	report(t, h, hosts, cost{}, time.Since(start))
	oracle(t, h, hosts, nil, 0)
}

// What hosts cost the hub that have nothing to tell: each sends a beat every five
// minutes, on a connection of its own. By hand:
//
//	SSHNOTIFY_FLEET='hosts=2000 for=10m' SSHNOTIFY_E2E=1 go test -timeout 20m -run '^TestFleetIdle$' -v ./cmd/sshnotify
func TestFleetIdle(t *testing.T) {
	e2e(t)
	t.Parallel()
	z := newFleetSize(t, fleetSize{hosts: 50, span: 2 * time.Second})
	h := newFleetHub(t, swiftDir(t), toldSettings)
	hosts := h.mustJoin(hostNames("web", z.hosts)...)
	every, jitter := 5*time.Minute, time.Minute
	if z.span < every {
		every, jitter = z.span/4, z.span/20
	}
	ctx, cancel := context.WithTimeout(t.Context(), z.span)
	defer cancel()
	before, start := h.spent(), time.Now()
	var all sync.WaitGroup
	var beats atomic.Int64
	for _, s := range hosts {
		all.Go(func() {
			for wait := mathrand.N(every); ; wait = every - jitter + mathrand.N(2*jitter) {
				select {
				case <-ctx.Done():
					return
				case <-time.After(wait):
				}
				a, err := s.beat(t.Context())
				if err != nil || a.status != http.StatusOK {
					t.Errorf("%s: %d %s %v", s.name, a.status, a.body, err)
					return
				}
				beats.Add(1)
			}
		})
	}
	all.Wait()
	took := time.Since(start)
	spent := h.spent()
	t.Logf("%d idle hosts for %v, %d beats: peak %.0f MiB, now %.0f MiB, %.2f s of CPU, %.2f %% of a core",
		z.hosts, took.Round(time.Second), beats.Load(), spent.peak, residentMiB(h.pid()), (spent.cpu - before.cpu).Seconds(), 100*(spent.cpu-before.cpu).Seconds()/took.Seconds())
	if _, other := h.told.logins(); len(other) > 0 {
		t.Errorf("told of hosts that are well: %+v", other[0])
	}
}
