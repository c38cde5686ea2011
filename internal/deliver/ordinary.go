package deliver

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/digest"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/store"
)

// kindOrdinary is the kind of document that a host's digest.Ordinary is.
const kindOrdinary = "ordinary"

// allHosts is the name of what a hub counts of all hosts.
const allHosts = ""

// keepOrdinaryEvery is how often what was counted is written down, at most. A
// kill loses what came since, which may make a message or two of ordinary logins.
const keepOrdinaryEvery = 10 * time.Second

// ordinary is how the ordinary logins of each host are told.
type ordinary struct {
	db    *store.DB // nil: nothing outlives the worker
	hosts map[string]*digest.Ordinary
	dirty map[string]bool
	kept  time.Time
}

// ReadOrdinary returns how the ordinary logins of a host are told.
func ReadOrdinary(ctx context.Context, db *store.DB, host string) (digest.Ordinary, error) {
	return store.Load[digest.Ordinary](ctx, db, kindOrdinary, host)
}

// of returns a host's. Without a database that can be read it begins anew.
func (o *ordinary) of(host string) *digest.Ordinary {
	if x := o.hosts[host]; x != nil {
		return x
	}
	x := new(digest.Ordinary)
	if o.db != nil {
		*x, _ = ReadOrdinary(context.Background(), o.db, host)
	}
	if o.hosts == nil {
		o.hosts, o.dirty = map[string]*digest.Ordinary{}, map[string]bool{}
	}
	o.hosts[host] = x
	return x
}

// keep writes down what was counted, at the latest with end.
func (o *ordinary) keep(now time.Time, end bool) error {
	if len(o.dirty) == 0 || o.db == nil || !end && now.Sub(o.kept).Abs() < keepOrdinaryEvery {
		return nil
	}
	o.kept = now
	err := o.db.Write(context.Background(), store.WriteLimit, func(t *store.Tx) error {
		for host := range o.dirty {
			if err := store.Put(t, kindOrdinary, host, *o.hosts[host]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		clear(o.dirty)
	}
	return err
}

// PairOf returns who an event's login counts for.
func PairOf(e event.Event, f event.Facts) digest.Pair {
	a := e.Auth()
	key := cmp.Or(a.Fingerprint, a.Method)
	if a.KeyID != "" {
		key = a.CAFingerprint + " " + a.KeyID
	}
	return digest.Pair{User: e.User, From: cmp.Or(f.Name, f.Network.Name, around(e.Remote.IP)), Key: key}
}

// around is the network of an address that nothing else is known of.
func around(ip netip.Addr) string {
	bits := 24
	if ip.Is6() {
		bits = 48
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// tell decides when an item is told, and counts it for how ordinary logins are.
func (w *worker) tell(it *item, in policy.Input) policy.Telling {
	in.OneByOne = true
	t := policy.Tell(in, it.verdict, w.set.Policy)
	if !remembered(it.e) || w.set.Memory == nil || w.set.Policy.Notify != policy.NotifyAuto && w.set.Policy.Notify != policy.NotifyUnusual {
		return t
	}
	l := digest.Limits{PerDay: w.set.OrdinaryPerDay, Window: w.set.Window}
	o, p := w.ordinary.of(it.e.Host), PairOf(it.e, it.known())
	if w.set.Policy.Notify == policy.NotifyAuto {
		in.OneByOne, in.Frequent = o.Take(p, it.e.Time, t.Ordinary, in.Memory.Pair.Today, l)
		in.Few = o.Few(p, it.e.Time, l)
		if it.from != "" {
			all := w.ordinary.of(allHosts)
			if t.Ordinary {
				in.OneByOne = all.TakeHost(it.e.Host, it.e.Time, l) && in.OneByOne
				w.ordinary.dirty[allHosts] = true
			}
			in.Few = in.Few && !all.Digest
		}
	}
	if t.New {
		in.ManyNew = o.TakeNew(p, it.e.Time, l)
	}
	w.ordinary.dirty[it.e.Host] = true
	return policy.Tell(in, it.verdict, w.set.Policy)
}

// changes returns how ordinary logins are told from now on, as far as no digest
// has said it.
func (o *ordinary) changes() (all []event.ModeChange) {
	if o.db != nil {
		var hosts []string
		// Those that can't be read now are said the next day.
		_ = o.db.Read(context.Background(), store.ReadLimit, func(t *store.Tx) error {
			hosts = nil
			return t.Each(func(r *sql.Rows) error {
				var host string
				err := r.Scan(&host)
				hosts = append(hosts, host)
				return err
			}, `SELECT name FROM state WHERE kind = ?`, kindOrdinary)
		})
		for _, host := range hosts {
			o.of(host)
		}
	}
	several := len(o.hosts) > 1
	for _, host := range slices.Sorted(maps.Keys(o.hosts)) {
		for _, c := range o.hosts[host].Changes() {
			o.dirty[host] = true
			if c.Hosts = 0; several && host != allHosts {
				c.Host, c.Hosts = host, 1
			}
			i := slices.IndexFunc(all, func(x event.ModeChange) bool {
				return x.Hosts > 0 && c.Hosts > 0 && x.To == c.To && x.User == c.User && x.From == c.From
			})
			if i < 0 {
				all = append(all, c)
				continue
			}
			all[i].Hosts, all[i].Count = all[i].Hosts+1, max(all[i].Count, c.Count)
		}
	}
	return all
}
