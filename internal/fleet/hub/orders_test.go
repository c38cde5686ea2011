package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/respond"
	"github.com/sshnotify/sshnotify/internal/respond/order"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/store"
)

func (s *served) orders() *Orders { return &Orders{DB: s.o.DB, Hostname: "hub1", Now: s.now} }

// asks has a host ask for orders until it gets one, or the hub has none.
func (h *host) asks(allow []string, got ...string) fleet.OrderAnswer {
	h.t.Helper()
	a, err := h.Orders(h.t.Context(), fleet.OrderPoll{Allow: allow, Got: got})
	if err != nil {
		h.t.Fatalf("%s asks for orders: %v", h.name, err)
	}
	return a
}

// taker has a host be known to take orders, without waiting for one.
func (s *served) taker(name string, allow ...string) {
	s.t.Helper()
	if err := s.takes(s.t.Context(), name, fleet.OrderPoll{Allow: allow}); err != nil {
		s.t.Fatal(err)
	}
}

// says has a host hand over what became of an order.
func (h *host) says(n int64, o event.Ordered, of, text string) {
	h.t.Helper()
	e := event.Event{ID: event.NewID(), Kind: event.KindAlert, Time: time.Now(), Via: event.ViaSelf, Alert: &event.Note{Severity: event.High, Title: "t", Text: text, Of: of, Order: &o}}
	h.hand(batchFrom(h.t, "n", n, e))
}

func TestAnOrderOnItsWay(t *testing.T) {
	standin.Gate(t)
	ctx := t.Context()
	s := serve(t, openDB(t))
	web, db := s.join("web1", TokenOptions{}), s.join("db1", TokenOptions{})
	login := loginOf("alice")
	web.hand(batchFrom(t, "n", 1, login))
	id := event.HubID("web1", login.ID)
	orders := s.orders()
	ask := Ask{ID: event.Ref(id), Actions: []respond.Action{respond.Lock, respond.End}, For: time.Hour, By: "carol"}

	no := func(what, why string) {
		t.Helper()
		_, err := orders.Issue(ctx, ask)
		if e, ok := errors.AsType[*NoOrderError](err); !ok || !strings.Contains(e.Why, why) || e.Host != "web1" || e.ByHand() != "sudo sshnotify respond "+id[:event.SharedID] {
			t.Errorf("%s: %v", what, err)
		}
	}
	no("a host that never asked", "takes no orders")
	s.taker("web1", "evidence", "end")
	no("an action that it does not allow", "it allows evidence, end")
	s.taker("web1")
	no("a host that takes none any more", "takes no orders")
	allow := []string{"evidence", "end", "lock"}
	s.taker("web1", allow...)

	answered := make(chan fleet.OrderAnswer, 1)
	go func() {
		a, _ := web.Orders(ctx, fleet.OrderPoll{Allow: allow})
		answered <- a
	}()
	x, err := orders.Issue(ctx, ask)
	if err != nil {
		t.Fatal(err)
	}
	var a fleet.OrderAnswer
	select {
	case a = <-answered: // within a second or two, though another process may have issued it
	case <-time.After(30 * time.Second):
		t.Fatal("the host does not get its order")
	}
	if len(a.Orders) != 1 {
		t.Fatalf("the host gets %d orders", len(a.Orders))
	}
	ca, err := order.ParseCA([]byte(pemCert(s.ca.cert.Raw)))
	if err != nil {
		t.Fatal(err)
	}
	o, err := order.Open(a.Orders[0], ca)
	if err != nil || o.Check("web1", allow, time.Now()) != nil || o.Subject.User != "alice" || o.Subject.ID != id || o.Subject.Session.Boot != "web1:b007" || o.For() != time.Hour {
		t.Errorf("the order is %+v, %v", o, err)
	}
	// Another host gets none of it, and can't say that it has it, or what became of it.
	if all, _ := s.Hub.orders.of("db1", time.Now()); len(all) > 0 {
		t.Error("another host gets the order")
	}
	if err := s.takes(ctx, "db1", fleet.OrderPoll{Got: []string{o.Nonce}}); err != nil {
		t.Fatal(err)
	}
	db.says(1, event.Ordered{Nonce: o.Nonce, Became: "done"}, id, "by another")
	if x, err := orders.Status(ctx, x.Order.Nonce); err != nil || x.State != OrderWaiting {
		t.Errorf("another host has it be %v, %v", x.State, err)
	}
	// It comes again until the host says that it has it.
	if a := web.asks(allow); len(a.Orders) != 1 || !bytes.Equal(a.Orders[0], x.Signed) {
		t.Error("an order whose answer may be lost does not come again")
	}
	if err := s.takes(ctx, "web1", fleet.OrderPoll{Allow: allow, Got: []string{o.Nonce}}); err != nil {
		t.Fatal(err)
	}
	if x, _ := orders.Status(ctx, x.Order.Nonce); x.State != OrderTaken {
		t.Errorf("the host has it, and it is %v", x.State)
	}
	web.says(2, event.Ordered{Nonce: o.Nonce, Action: "lock", Became: "done"}, login.ID, "it has expired")
	web.says(3, event.Ordered{Nonce: o.Nonce, Became: "partly"}, login.ID, "all of it")
	web.says(4, event.Ordered{Nonce: o.Nonce, Became: "done"}, login.ID, "once more")
	got, err := orders.Wait(ctx, o.Nonce, nil)
	if err != nil || got.State != OrderPartly || got.Said != "all of it" || len(got.Steps) != 1 || got.Steps[0].Said != "it has expired" {
		t.Errorf("it became %+v, %v", got, err)
	}
	// All of it is told in the thread of the event.
	told := 0
	for _, r := range s.waiting() {
		if n := r.Event.Note(); n != nil && n.Of == id {
			told++
		} else if n != nil && r.From == "web1" {
			t.Errorf("not in the thread: %+v", n)
		} else if n != nil && r.From == "db1" && (n.Of != "" || n.Order != nil) {
			t.Errorf("another host speaks of it: %+v", n)
		}
	}
	if told != 4 {
		t.Errorf("%d things are told in the thread, want that it was given, and three from the host", told)
	}
	if all, err := orders.Of(ctx, id); err != nil || len(all) != 1 {
		t.Errorf("the event has %d orders, %v", len(all), err)
	}
}

// An order that nobody fetches, or of which nothing is heard, is told as such.
func TestOrdersThatComeToNothing(t *testing.T) {
	ctx := t.Context()
	s := serve(t, openDB(t))
	web := s.join("web1", TokenOptions{})
	login := loginOf("alice")
	web.hand(batchFrom(t, "n", 1, login))
	s.taker("web1", "evidence")
	s.waiting()
	orders := s.orders()
	issue := func() Ordered {
		t.Helper()
		x, err := orders.Issue(ctx, Ask{ID: event.HubID("web1", login.ID), By: "carol"})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	state := func(x Ordered) OrderState {
		t.Helper()
		if err := s.lookAtOrders(ctx); err != nil {
			t.Fatal(err)
		}
		x, err := orders.Status(ctx, x.Order.Nonce)
		if err != nil {
			t.Fatal(err)
		}
		return x.State
	}
	left, taken := issue(), issue()
	if err := s.takes(ctx, "web1", fleet.OrderPoll{Allow: []string{"evidence"}, Got: []string{taken.Order.Nonce}}); err != nil {
		t.Fatal(err)
	}
	if got := state(left); got != OrderWaiting {
		t.Errorf("at first it is %v", got)
	}
	s.ahead.Add(int64(order.Life + time.Second))
	if got := state(left); got != OrderExpired {
		t.Errorf("after five minutes it is %v", got)
	}
	if all, _ := s.Hub.orders.of("web1", s.now()); len(all) > 0 {
		t.Error("it is handed out all the same")
	}
	if got := state(taken); got != OrderTaken {
		t.Errorf("one that the host has is %v", got)
	}
	s.ahead.Add(int64(unheardAfter))
	if got := state(taken); got != OrderUnheard {
		t.Errorf("of which nothing is heard: %v", got)
	}
	var titles []string
	for _, r := range s.waiting() {
		if n := r.Event.Note(); n != nil {
			titles = append(titles, n.Title)
		}
	}
	if all := strings.Join(titles, "\n"); len(titles) != 4 || !strings.Contains(all, "expired") || !strings.Contains(all, "nothing was heard") {
		t.Errorf("told:\n%s", all)
	}
	// A host that was away for long tells in the end.
	web.says(2, event.Ordered{Nonce: taken.Order.Nonce, Became: "done"}, login.ID, "done")
	if got := state(taken); got != OrderDone {
		t.Errorf("the late truth: %v", got)
	}
	for range maxOrders {
		issue()
	}
	if _, err := orders.Issue(ctx, Ask{ID: event.HubID("web1", login.ID), By: "carol"}); err == nil {
		t.Errorf("more than %d orders wait", maxOrders)
	}
	s.ahead.Add(int64(keepOrders + time.Hour))
	s.pruneOrders(ctx, s.now())
	if all, err := orders.Of(ctx, event.HubID("web1", login.ID)); err != nil || len(all) > 0 {
		t.Errorf("%d orders are kept for ever, %v", len(all), err)
	}
}

// A hub that was restored from a copy hands an order out again; the host knows it by
// its nonce.
func TestOrdersOfACopy(t *testing.T) {
	standin.Gate(t)
	ctx := t.Context()
	s := serve(t, openDB(t))
	web := s.join("web1", TokenOptions{})
	login := loginOf("alice")
	web.hand(batchFrom(t, "n", 1, login))
	s.taker("web1", "evidence")
	x, err := s.orders().Issue(ctx, Ask{ID: event.HubID("web1", login.ID), By: "carol"})
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.o.DB.Copy(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	web.says(2, event.Ordered{Nonce: x.Order.Nonce, Became: "done"}, login.ID, "done")
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "state", store.FileName), data, 0o600); err != nil {
		t.Fatal(err)
	}
	s.stop()
	again := serve(t, openDBIn(t, dir))
	a := again.connect("web1", web.c).asks([]string{"evidence"})
	if len(a.Orders) != 1 || !bytes.Equal(a.Orders[0], x.Signed) {
		t.Fatalf("the copy hands out %d orders", len(a.Orders))
	}
}

func TestSubjectsOfOrders(t *testing.T) {
	ctx := t.Context()
	s := serve(t, openDB(t))
	web := s.join("web1", TokenOptions{})
	login := loginOf("alice")
	out := event.Event{ID: event.LogoutID(login.Session), Kind: event.KindLogout, Time: time.Now(), User: "alice", Via: event.ViaPAM, Session: login.Session}
	note := event.Event{ID: event.NewID(), Kind: event.KindAlert, Time: time.Now(), Via: event.ViaCLI, Alert: &event.Note{Text: "x"}}
	web.hand(batchFrom(t, "n", 1, login, out, note))
	orders := s.orders()
	ended := event.LogoutID(event.Session{PID: 7, Start: 8, Boot: "web1:b007"})
	if host, got, err := orders.find(ctx, ended); err != nil || host != "web1" || got.ID != event.HubID("web1", login.ID) || got.Kind != event.KindLogin {
		t.Errorf("of a logout: %+v, %v", got, err)
	}
	if _, _, err := orders.find(ctx, event.HubID("web1", note.ID)); err == nil {
		t.Error("there is something to respond to in a note")
	}
	if _, _, err := orders.find(ctx, ""); !errors.Is(err, ErrNoEvent) {
		t.Errorf("nothing is found: %v", err)
	}
	if _, _, err := orders.find(ctx, "ZZZZ"); !errors.Is(err, ErrNoEvent) {
		t.Errorf("nothing is found: %v", err)
	}
}

func TestEvidence(t *testing.T) {
	ctx := t.Context()
	s := serve(t, openDB(t))
	s.o.Evidence = filepath.Join(t.TempDir(), "evidence")
	web := s.join("web1", TokenOptions{})
	login := loginOf("alice")
	data := []byte(`{"seen": true}`)
	sum := sha256.Sum256(data)
	for range 2 { // the answer may be lost
		r, err := web.Evidence(ctx, "", login.ID, data)
		if err != nil || !order.ReceiptFits(s.ca.cert, "web1", sum, r) {
			t.Fatalf("evidence: %x, %v", r, err)
		}
	}
	files := EvidenceOf(s.o.Evidence, event.HubID("web1", login.ID))
	if len(files) != 1 {
		t.Fatalf("kept: %q", files)
	}
	got, err := os.ReadFile(files[0])
	if info, _ := os.Stat(files[0]); err != nil || !bytes.Equal(got, data) || info.Mode().Perm() != 0o600 {
		t.Errorf("kept: %q, %v, %v", got, info.Mode(), err)
	}
	if list, err := os.ReadFile(files[0] + ".sha256"); err != nil || !strings.HasSuffix(strings.TrimSpace(string(list)), "  "+filepath.Base(files[0])) {
		t.Errorf("its sum: %q, %v", list, err)
	}
	for what, ask := range map[string][2]string{"no event": {"", "../../etc"}, "an order that nobody gave": {order.NewNonce(), ""}} {
		if _, err := web.Evidence(ctx, ask[0], ask[1], data); err == nil {
			t.Errorf("%s: kept", what)
		}
	}
	if _, err := web.Evidence(ctx, "", login.ID, make([]byte, fleet.MaxEvidence+1)); err == nil {
		t.Error("more than may be is kept")
	}
	for i := range maxEvidenceBytes/fleet.MaxEvidence + 1 {
		_, err = web.Evidence(ctx, "", login.ID, bytes.Repeat([]byte{byte('a' + i)}, fleet.MaxEvidence))
	}
	if c, _ := class(err); err == nil || c != fleet.Again || !strings.Contains(err.Error(), "keeps no more") {
		t.Errorf("a host fills the disk: %v", err)
	}
	all, _ := os.ReadDir(s.o.Evidence)
	if len(all) != 1 || !slices.ContainsFunc(all, func(e os.DirEntry) bool { return e.Name() == "web1" && e.IsDir() }) {
		t.Errorf("left: %v", all)
	}
}

func TestOrdersEndWithTheHub(t *testing.T) {
	s := serve(t, openDB(t))
	web := s.join("web1", TokenOptions{})
	done := make(chan error, 1)
	go func() {
		_, err := web.Orders(context.Background(), fleet.OrderPoll{Allow: []string{"end"}})
		done <- err
	}()
	deadline := time.Now().Add(30 * time.Second)
	for {
		if x, err := s.orders().Taker(t.Context(), "web1"); err == nil && len(x.Allow) > 0 {
			break
		} else if time.Now().After(deadline) {
			t.Fatal("the host does not ask")
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.stop()
	select {
	case err := <-done:
		if c, _ := class(err); err == nil || c != fleet.Again {
			t.Errorf("the host hears %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the host waits for a hub that is gone")
	}
}
