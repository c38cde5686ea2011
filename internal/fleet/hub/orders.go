package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/respond"
	"github.com/sshnotify/sshnotify/internal/respond/order"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	// unheardAfter is how long after an order is out of date its host may say what became
	// of it.
	unheardAfter = 10 * time.Minute
	// keepOrders is how long orders are kept.
	keepOrders = 30 * 24 * time.Hour
	// maxOrders is how many of a host may wait.
	maxOrders = 16
	// takerSeen is how often it is written down at most that a host asks for orders.
	takerSeen = time.Minute
	// takerGone is how long after it last asked a host is taken to do so no more, and
	// takerForgotten to have been switched off.
	takerGone      = 3 * time.Minute
	takerForgotten = 24 * time.Hour
	// lookEvery is how often Wait looks.
	lookEvery = 250 * time.Millisecond
	maxSaid   = 400 // of a step, in characters
	maxSteps  = 32
)

// The kinds of the documents of this file.
const (
	kindOrder = "order" // by their nonces
	kindTaker = "taker" // by the names of hosts
)

// OrderState is what became of an order.
type OrderState string

// The states. Those from OrderRefused on are the end of it.
const (
	OrderWaiting OrderState = "waiting" // the host has not fetched it
	OrderTaken   OrderState = "taken"   // the host has it
	OrderRefused OrderState = "refused" // the host won't do it: Said has the reason
	OrderDone    OrderState = "done"    // all of it
	OrderPartly  OrderState = "partly"  // something is left, or was refused or failed: see Steps
	OrderFailed  OrderState = "failed"  // nothing of it
	OrderLooked  OrderState = "looked"  // it was a dry run
	OrderExpired OrderState = "expired" // the host has not fetched it in time
	OrderUnheard OrderState = "unheard" // the host has it, and has told nothing
)

// Ordered is an order as the hub keeps it.
type Ordered struct {
	Order  order.Order `json:"order"`
	Signed []byte      `json:"signed"`
	State  OrderState  `json:"state"`
	Taken  time.Time   `json:"taken,omitzero"`
	Ended  time.Time   `json:"ended,omitzero"`
	Said   string      `json:"said,omitempty"`
	Steps  []OrderStep `json:"steps,omitempty"` // as the host told them, one after the other
}

// OrderStep is what became of one action.
type OrderStep struct {
	Action respond.Action  `json:"action"`
	Became respond.Outcome `json:"became"`
	Said   string          `json:"said"`
}

// Over reports whether nothing more becomes of it.
func (o Ordered) Over() bool { return o.State != OrderWaiting && o.State != OrderTaken }

func (o Ordered) words() message.Order {
	return message.Order{Ref: o.Order.Subject.Ref(), Host: o.Order.Host, By: o.Order.By, Wants: o.Order.Wants()}
}

// Taker is a host that asks for orders.
type Taker struct {
	Host  string    `json:"-"`
	Allow []string  `json:"allow"` // none: it takes none any more
	Seen  time.Time `json:"seen"`  // when it last asked, give or take a minute
}

// NoOrderError says that a host can't be given an order, and must be responded to by
// hand there.
type NoOrderError struct {
	Host string // empty: it is this machine's own event
	ID   string // the event's, at the hub
	Why  string
}

func (e *NoOrderError) Error() string { return e.Why }

// ByHand is the command on the host.
func (e *NoOrderError) ByHand() string {
	return "sudo sshnotify respond " + e.ID[:min(event.SharedID, len(e.ID))]
}

// ErrNoEvent means that no event is known whose id begins so, or that several are.
var ErrNoEvent = errors.New("no event, or more than one, is known whose id begins so")

// Orders gives hosts orders. It may be used by several processes at a time: the hub
// hands an order out within a second, whoever issued it.
type Orders struct {
	DB       *store.DB
	Memory   *history.DB // who else came from where; nil: that is not known
	Hostname string      // the hub's, for what it tells
	Now      func() time.Time
}

func (o *Orders) now() time.Time {
	if o.Now != nil {
		return o.Now()
	}
	return time.Now()
}

// Ask is what somebody wants of the host of an event.
type Ask struct {
	ID      string           // of the event at the hub, or a beginning that no other has
	Actions []respond.Action // none: evidence alone
	For     time.Duration    // as respond.Responder has it
	By      string           // who, as it is told: "carol", "carol in Slack"
	Look    bool             // only what they would find
}

// Issue signs an order, keeps it, and tells everybody of it in the thread of the event.
// What becomes of it is Status's to say, and is told by itself. Who may ask is for the
// caller to decide. An error is ErrNoEvent, a *NoOrderError, or the database's.
func (o *Orders) Issue(ctx context.Context, a Ask) (Ordered, error) {
	now := o.now()
	host, s, err := o.find(ctx, a.ID)
	if err != nil {
		return Ordered{}, err
	}
	by := &NoOrderError{Host: host, ID: s.ID}
	if host == "" {
		by.Why = event.Ref(s.ID) + " happened on this machine: no order is needed"
		return Ordered{}, by
	}
	made := order.Order{
		Nonce: order.NewNonce(), Host: host, Made: now, By: a.By, Actions: a.Actions, Seconds: int64(a.For / time.Second), Look: a.Look,
		Subject: s, Neighbours: o.neighbours(ctx, s),
	}
	taker, err := o.Taker(ctx, host)
	if err != nil {
		return Ordered{}, err
	}
	switch {
	case len(taker.Allow) == 0 || now.Sub(taker.Seen) > takerForgotten:
		by.Why = host + " takes no orders from a hub"
		return Ordered{}, by
	case slices.ContainsFunc(made.Needs(), func(need string) bool { return !slices.Contains(taker.Allow, need) }):
		by.Why = fmt.Sprintf("%s does not allow that: it allows %s", host, strings.Join(taker.Allow, ", "))
		return Ordered{}, by
	}
	ca, err := loadCA(ctx, o.DB, now)
	if err != nil {
		return Ordered{}, err
	}
	out := Ordered{State: OrderWaiting}
	if out.Signed, err = order.Sign(ca.key, made); err != nil {
		return Ordered{}, err
	}
	if out.Order, err = order.Open(out.Signed, ca.cert); err != nil {
		return Ordered{}, err
	}
	err = o.DB.WriteDurably(ctx, store.WriteLimit, func(t *store.Tx) error {
		all, err := openOrders(t)
		if err != nil {
			return err
		}
		waiting := 0
		for _, x := range all {
			if x.Order.Host == host && x.State == OrderWaiting {
				waiting++
			}
		}
		if waiting >= maxOrders {
			by.Why = fmt.Sprintf("%d orders wait for %s", waiting, host)
			return by
		}
		if err := store.Put(t, kindOrder, out.Order.Nonce, out); err != nil {
			return err
		}
		return out.tell(t, o.Hostname, message.OrderGiven(out.words()), now)
	})
	return out, err
}

// tell tells something of an order, in the thread of its event.
func (x Ordered) tell(t *store.Tx, hostname string, n event.Note, now time.Time) error {
	n.Of = x.Order.Subject.ID
	return tell(t, hostname, n, now)
}

// Status returns an order as it stands.
func (o *Orders) Status(ctx context.Context, nonce string) (Ordered, error) {
	x, err := store.Load[Ordered](ctx, o.DB, kindOrder, nonce)
	if err == nil && x.Order.Nonce != nonce {
		err = errors.New("the order is not known any more")
	}
	return x, err
}

// Wait returns an order when nothing more becomes of it, or when ctx ends, as it stands
// then. each is called whenever it has changed; it may be nil.
func (o *Orders) Wait(ctx context.Context, nonce string, each func(Ordered)) (Ordered, error) {
	var last Ordered
	for {
		x, err := o.Status(ctx, nonce)
		if err != nil {
			return last, err
		}
		if each != nil && (x.State != last.State || len(x.Steps) != len(last.Steps)) {
			each(x)
		}
		if last = x; x.Over() || !store.Sleep(ctx, lookEvery) {
			return x, nil
		}
	}
}

// Of returns the orders about an event, by its id at the hub, the oldest first.
func (o *Orders) Of(ctx context.Context, id string) ([]Ordered, error) {
	all, err := store.LoadAll[Ordered](ctx, o.DB, kindOrder)
	var out []Ordered
	for _, x := range all {
		if x.Order.Subject.ID == id {
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b Ordered) int { return a.Order.Made.Compare(b.Order.Made) })
	return out, err
}

// Taker returns what a host takes; a zero one where it never asked.
func (o *Orders) Taker(ctx context.Context, host string) (Taker, error) {
	t, err := store.Load[Taker](ctx, o.DB, kindTaker, host)
	t.Host = host
	return t, err
}

// Takers returns all hosts that ask for orders, by name.
func (o *Orders) Takers(ctx context.Context) ([]Taker, error) {
	all, err := store.LoadAll[Taker](ctx, o.DB, kindTaker)
	var out []Taker
	for host, t := range all {
		if t.Host = host; len(t.Allow) > 0 {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b Taker) int { return cmp.Compare(a.Host, b.Host) })
	return out, err
}

// Away reports whether a host has not asked for orders lately.
func (t Taker) Away(now time.Time) bool { return now.Sub(t.Seen) > takerGone }

// find returns which host an event is of, and what a response to it needs to know. The
// end of a login is responded to as that login, and so is the watcher's word of one.
func (o *Orders) find(ctx context.Context, prefix string) (host string, s respond.Subject, err error) {
	prefix = strings.ToUpper(prefix)
	told, err := deliver.ReadDelivered(ctx, o.DB, "", time.Time{})
	if err != nil {
		return "", s, err
	}
	waiting, err := Waiting(ctx, o.DB)
	if err != nil {
		return "", s, err
	}
	for id, data := range waiting {
		if r, err := deliver.DecodeRecord(data); err == nil && !slices.ContainsFunc(told, func(d *deliver.Delivered) bool { return d.ID == id }) {
			e := r.Event
			told = append(told, &deliver.Delivered{ID: id, From: r.From, Time: e.Time, Kind: e.Kind, Session: e.Session, User: e.User, Host: e.Host,
				IP: e.Remote.IP.String(), GotIn: e.GotIn(), Detail: &deliver.Detail{Auth: e.Auth()}})
		}
	}
	var found *deliver.Delivered
	for _, d := range told {
		if prefix == "" || !strings.HasPrefix(d.ID, prefix) {
			continue
		}
		if found != nil && found.ID != d.ID {
			return "", s, ErrNoEvent
		}
		found = d
	}
	if found == nil {
		return "", s, ErrNoEvent
	}
	s, ok := subjectOf(found, told)
	if !ok {
		return found.From, s, &NoOrderError{Host: found.From, ID: found.ID, Why: event.Ref(found.ID) + " is of no login and no address: there is nothing to respond to"}
	}
	return found.From, s, nil
}

// subjectOf returns what a response needs to know of an event. all are those that may
// be the login that it is about.
func subjectOf(d *deliver.Delivered, all []*deliver.Delivered) (s respond.Subject, ok bool) {
	ip, _ := netip.ParseAddr(d.IP)
	s = respond.Subject{ID: d.ID, Kind: d.Kind, Time: d.Time.UTC(), Host: d.Host, User: d.User, IP: ip, Session: d.Session}
	auth := func(d *deliver.Delivered) {
		if x := d.Detail; x != nil {
			s.Method, s.Key, s.KeyID, s.CA = x.Auth.Method, x.Auth.Fingerprint, x.Auth.KeyID, x.Auth.CAFingerprint
		}
	}
	auth(d)
	switch {
	case d.Kind == event.KindLogin, d.Kind == event.KindGate:
		return s, true
	case d.GotIn, d.Kind == event.KindLogout:
		s.Kind = event.KindLogin
	case ip.IsValid():
		s.Kind, s.User, s.Session = event.KindAttack, "", event.Session{}
		return s, true
	default:
		return s, false
	}
	for _, l := range slices.Backward(all) {
		if l.Kind != event.KindLogin || l.From != d.From {
			continue
		}
		near := l.User == s.User && l.IP == d.IP && l.Time.Sub(s.Time).Abs() <= deliver.SameLogin
		if l.Session.Same(s.Session) || s.Session.PID == 0 && near {
			s.ID, s.Time, s.Session = l.ID, l.Time.UTC(), l.Session
			if s.IP, _ = netip.ParseAddr(l.IP); l.Detail != nil {
				auth(l)
			}
			break
		}
	}
	return s, true
}

const (
	// aroundTime is how far back it is looked who came from a network, and aroundMost
	// how many logins are looked at.
	aroundTime = 30 * 24 * time.Hour
	aroundMost = 1000
	maxNear    = 8 // users that are named
)

// neighbours returns who else came from the surroundings of a subject's address, on
// any host, whom nobody wondered about.
func (o *Orders) neighbours(ctx context.Context, s respond.Subject) (n respond.Neighbours) {
	if o.Memory == nil || !s.IP.IsValid() {
		return n
	}
	bits := 24
	if s.IP.Is6() {
		bits = 64
	}
	near, _ := s.IP.Prefix(bits)
	for e, err := range o.Memory.List(ctx, history.Filter{IP: near, Since: s.Time.Add(-aroundTime), Limit: aroundMost}) {
		if err != nil {
			return n // it keeps nobody from acting
		}
		if e.ID == s.ID || e.Untaught || e.User == s.User && e.IP == s.IP {
			continue
		}
		n.Logins++
		if user := event.Clean(e.User, 32); len(n.Users) < maxNear && !slices.Contains(n.Users, user) {
			n.Users = append(n.Users, user)
		}
	}
	return n
}
