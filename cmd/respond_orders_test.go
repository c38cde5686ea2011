package cmd

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/paths"
	"github.com/sshnotify/sshnotify/internal/respond"
	"github.com/sshnotify/sshnotify/internal/respond/order"
)

// ordering is a host that takes orders, and its hub's key.
type ordering struct {
	t      *testing.T
	dir    string
	key    *ecdsa.PrivateKey
	o      *respondOptions
	err    bytes.Buffer
	folder order.Folder
	now    time.Time
}

func newOrdering(t *testing.T, allow string) *ordering {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, whose files are believed")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hub"}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	x := &ordering{t: t, dir: t.TempDir(), key: key, now: time.Now()}
	settings := filepath.Join(x.dir, "config.toml")
	x.write("config.toml", fmt.Sprintf("host = \"web1\"\nspool_dir = %q\nstate_dir = %q\n[hub]\nurl = \"https://192.0.2.1:8443\"\n[respond]\nname = \"web1\"\nallow = [%s]\n",
		filepath.Join(x.dir, "spool"), filepath.Join(x.dir, "state"), allow))
	x.write(order.CAName, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	x.folder = order.In(filepath.Join(x.dir, "spool"))
	for _, name := range append(order.Dirs(), "../new", "../tmp") {
		if err := os.MkdirAll(filepath.Join(string(x.folder), name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	a := &app{out: new(bytes.Buffer), err: &x.err, uid: 0, configFile: settings, places: paths.User{}}
	host := respond.Live()
	host.Root = filepath.Join(x.dir, "root") // with nothing in it that could be ended
	host.Now = func() time.Time { return x.now }
	x.o = &respondOptions{show: showOptions{queue: queueOptions{app: a}}, host: host, noWorker: true, patience: time.Millisecond}
	return x
}

func (x *ordering) write(name, text string) {
	x.t.Helper()
	if err := os.WriteFile(filepath.Join(x.dir, name), []byte(text), 0o600); err != nil {
		x.t.Fatal(err)
	}
}

func (x *ordering) order(actions ...respond.Action) order.Order {
	return order.Order{
		Nonce: order.NewNonce(), Host: "web1", Made: x.now, By: "carol", Actions: actions,
		Subject: respond.Subject{ID: event.HubID("web1", event.NewID()), Kind: event.KindLogin, Time: x.now, User: "alice", IP: netip.MustParseAddr("203.0.113.7")},
	}
}

func (x *ordering) sign(o order.Order) []byte {
	x.t.Helper()
	b, err := order.Sign(x.key, o)
	if err != nil {
		x.t.Fatal(err)
	}
	return b
}

// take puts files where the worker does, has root take them, and returns what is told.
func (x *ordering) take(files ...[]byte) (told []event.Note) {
	x.t.Helper()
	for _, b := range files {
		if err := x.folder.Put(order.NewNonce(), b); err != nil {
			x.t.Fatal(err)
		}
	}
	_ = x.o.takeOrders(x.t.Context()) // what is told says it
	dir := filepath.Join(x.dir, "spool", "new")
	all, err := os.ReadDir(dir)
	if err != nil {
		x.t.Fatal(err)
	}
	for _, f := range all {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			x.t.Fatal(err)
		}
		e, err := event.Decode(b)
		if err != nil {
			x.t.Fatal(err)
		}
		told = append(told, *e.Alert)
		if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
			x.t.Fatal(err)
		}
	}
	return told
}

// What root does not believe is told with the reason, and nothing is done.
func TestOrdersThatAreRefused(t *testing.T) {
	x := newOrdering(t, `"evidence", "lock"`)
	stranger := *x
	var err error
	if stranger.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	change := func(f func(*order.Order)) order.Order {
		o := x.order(respond.Lock)
		f(&o)
		return o
	}
	twice := x.order(respond.Lock)
	twice.Made = x.now.Add(-time.Hour)
	x.take(x.sign(twice))
	for situation, row := range map[string]struct {
		data  []byte
		nonce string // that the answer is for; empty: it is no order at all
		want  string
	}{
		"forged":         {stranger.sign(x.order(respond.Lock)), "", "has not signed"},
		"another host's": {x.sign(change(func(o *order.Order) { o.Host = "db1" })), "?", "t is for db1"},
		"old":            {x.sign(change(func(o *order.Order) { o.Made = x.now.Add(-6 * time.Minute) })), "?", "too late"},
		"of the future":  {x.sign(change(func(o *order.Order) { o.Made = x.now.Add(time.Hour) })), "?", "clock"},
		"not allowed":    {x.sign(x.order(respond.Lock, respond.End)), "?", "does not allow end"},
		"seen before":    {x.sign(twice), twice.Nonce, "been put there again"},
	} {
		told := x.take(row.data)
		if row.nonce == "" {
			if len(told) != 1 || told[0].Order != nil || !strings.Contains(told[0].Text, row.want) {
				t.Errorf("%s: %+v", situation, told)
			}
			continue
		}
		if len(told) != 1 || told[0].Order == nil || told[0].Order.Became != "refused" || told[0].Order.Action != "" || !strings.Contains(told[0].Text, row.want) || told[0].Of == "" {
			t.Errorf("%s: %+v", situation, told)
		} else if row.nonce != "?" && told[0].Order.Nonce != row.nonce {
			t.Errorf("%s: of another order: %+v", situation, told[0].Order)
		}
	}
	// Whoever puts more there has nobody told of nothing else.
	if told := x.take(x.sign(twice), []byte("x"), []byte("y")); len(told) != 0 {
		t.Errorf("told once more: %+v", told)
	}
	if all, err := os.ReadDir(filepath.Join(x.dir, "state-respond")); err != nil {
		t.Error(err)
	} else {
		for _, e := range all {
			if e.IsDir() {
				t.Errorf("something was done: %s", e.Name())
			}
		}
	}
}

// An order is carried out as by hand, and each step of it is told as one of it.
func TestOrdersThatAreCarriedOut(t *testing.T) {
	x := newOrdering(t, `"evidence", "lock", "end"`)
	o := x.order()
	told := x.take(x.sign(o))
	if len(told) != 1 || *told[0].Order != (event.Ordered{Nonce: o.Nonce, Became: "done"}) || !strings.Contains(told[0].Text, "vidence was taken") || told[0].Of != o.Subject.ID {
		t.Errorf("evidence alone: %+v", told)
	}
	if found, _ := filepath.Glob(filepath.Join(x.dir, "state-respond", o.Subject.ID, "evidence-*", respond.EvidenceFile)); len(found) != 1 {
		t.Errorf("evidence: %q", found)
	}
	if names, err := x.folder.Evidence(); err != nil || len(names) != 1 || names[0] != o.Nonce {
		t.Errorf("for the hub: %q, %v", names, err)
	}
	if told := x.take(x.sign(o)); len(told) != 1 || told[0].Order.Became != "refused" {
		t.Errorf("the same order again: %+v", told)
	}
	look := x.order(respond.Lock, respond.End)
	look.Look = true
	if told := x.take(x.sign(look)); len(told) != 1 || told[0].Order.Became != "looked" || !strings.Contains(told[0].Text, "end cannot") {
		t.Errorf("a dry run: %+v", told)
	}
}

// All that orders are held against must be root's.
func TestOrdersAndWhomRootTrusts(t *testing.T) {
	for situation, spoil := range map[string]func(x *ordering) error{
		"no CA":                            func(x *ordering) error { return os.Remove(filepath.Join(x.dir, order.CAName)) },
		"a CA that is no certificate":      func(x *ordering) error { return os.WriteFile(filepath.Join(x.dir, order.CAName), []byte("x"), 0o600) },
		"a CA that another may replace":    func(x *ordering) error { return os.Chown(filepath.Join(x.dir, order.CAName), 65534, 65534) },
		"a CA that others may write":       func(x *ordering) error { return os.Chmod(filepath.Join(x.dir, order.CAName), 0o666) },
		"settings that another may write":  func(x *ordering) error { return os.Chown(filepath.Join(x.dir, "config.toml"), 65534, 65534) },
		"a folder that another may change": func(x *ordering) error { return os.Chown(string(x.folder), 65534, 65534) },
	} {
		x := newOrdering(t, `"evidence"`)
		if err := spoil(x); err != nil {
			t.Fatal(err)
		}
		o := x.order()
		if err := x.folder.Put(o.Nonce, x.sign(o)); err != nil {
			t.Fatal(err)
		}
		if err := x.o.takeOrders(t.Context()); err == nil {
			t.Errorf("%s: orders are taken", situation)
		}
		if all, err := filepath.Glob(filepath.Join(x.dir, "state-respond", "*", "evidence-*")); err != nil || len(all) > 0 {
			t.Errorf("%s: something was done: %q", situation, all)
		}
	}
}

func TestSubjectsOfOrders(t *testing.T) {
	const boot = "0123456789abcdef0123456789abcdef0123"
	o := order.Order{Host: "web1", Subject: respond.Subject{User: "alice\n", IP: netip.MustParseAddr("::ffff:203.0.113.7"), Session: event.Session{PID: 7, Boot: "web1:" + boot[:32]}}}
	s := local(o, boot)
	if s.Session.Boot != boot || s.IP != netip.MustParseAddr("203.0.113.7") || strings.Contains(s.User, "\n") {
		t.Errorf("%+v", s)
	}
	if s := local(o, "another"); s.Session.Boot == "another" {
		t.Error("a session of another boot is one of this")
	}
}
