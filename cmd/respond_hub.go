package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/respond"
	"github.com/sshnotify/sshnotify/internal/respond/order"
	"github.com/sshnotify/sshnotify/internal/store"
)

// ordersOf gives hosts orders from the database of a hub.
func ordersOf(c config.Config, db *store.DB) *hub.Orders {
	name, _ := os.Hostname() // without one, what is told names no hub
	o := &hub.Orders{DB: db, Hostname: cmp.Or(c.Host, name)}
	if c.History.Enabled {
		o.Memory = history.New(db, c.History.Options(c.Zone()))
	}
	return o
}

// orderPatience is how long after an order is out of date it is waited for what its host
// says of it.
const orderPatience = 3 * time.Minute

// giveOrder has the host of an event respond to it, and prints what becomes of that.
func (o *respondOptions) giveOrder(ctx context.Context, k *known, actions []respond.Action, length time.Duration) error {
	a := o.show.queue.app
	if o.evenMine {
		return &usageError{errors.New("--even-mine is for this machine: who gives an order is nobody's session there")}
	}
	by := o.by(o.host.Self())
	var x hub.Ordered
	err := a.atHub(ctx, func(c config.Config, db *store.DB) (err error) {
		orders := ordersOf(c, db)
		x, err = orders.Issue(ctx, hub.Ask{ID: k.ID, Actions: actions, For: length, By: by, Look: o.dryRun})
		if no, ok := errors.AsType[*hub.NoOrderError](err); ok {
			return withHint(err, "on "+event.Clean(no.Host, maxProblem)+": "+no.ByHand())
		}
		if err != nil {
			return err
		}
		if !o.json {
			fmt.Fprintf(a.out, "order to %s about %s: %s; it is good until %s\n", x.Order.Host, x.Order.Subject.Ref(), x.Order.Wants(), x.Order.Expires().In(c.Zone()).Format(time.TimeOnly))
			if t, err := orders.Taker(ctx, x.Order.Host); err == nil && t.Away(time.Now()) {
				fmt.Fprintf(a.err, "sshnotify: warning: %s last asked for orders at %s\n", x.Order.Host, t.Seen.In(c.Zone()).Format(time.DateTime))
			}
		}
		waiting, stop := context.WithDeadline(ctx, x.Order.Expires().Add(orderPatience))
		defer stop()
		steps, taken := 0, false
		x, err = orders.Wait(waiting, x.Order.Nonce, func(x hub.Ordered) {
			if o.json {
				return
			}
			if !taken && x.State != hub.OrderWaiting && x.State != hub.OrderExpired { // it may be done by the first look
				taken = true
				fmt.Fprintf(a.out, "%s has it\n", x.Order.Host)
			}
			for _, s := range x.Steps[min(steps, len(x.Steps)):] {
				fmt.Fprintf(a.out, "  %s: %s. %s\n", s.Action, s.Became, s.Said)
			}
			steps = len(x.Steps)
		})
		return err
	})
	if err != nil {
		return err
	}
	if o.json {
		enc := json.NewEncoder(a.out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(orderShown(x)); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "%s: %s\n", x.Order.Host, orderBecame(x))
	}
	if x.State == hub.OrderDone || x.State == hub.OrderLooked {
		return nil
	}
	if !x.Over() {
		fmt.Fprintf(a.err, "sshnotify: hint: sshnotify show %s says what becomes of it\n", x.Order.Subject.Ref())
	}
	return &silentError{exitFailed}
}

// orderBecame says how an order stands.
func orderBecame(x hub.Ordered) string {
	text := map[hub.OrderState]string{
		hub.OrderWaiting: "it has not fetched the order yet", hub.OrderTaken: "it has the order, and has not said what became of it",
		hub.OrderRefused: "refused", hub.OrderDone: "done", hub.OrderPartly: "done, and something is left", hub.OrderFailed: "FAILED", hub.OrderLooked: "looked at, nothing done",
		hub.OrderExpired: "it did not fetch the order in time, and nothing was done", hub.OrderUnheard: "it has the order, and has told nothing of it",
	}[x.State]
	if x.Said != "" {
		text += ". " + x.Said
	}
	return text
}

// shownOrder is an order as --json prints it.
type shownOrder struct {
	Host  string          `json:"host"`
	ID    string          `json:"id"` // of the event, at the hub
	By    string          `json:"by"`
	Made  time.Time       `json:"made"`
	Asked []string        `json:"asked"`
	For   string          `json:"for,omitempty"`
	Look  bool            `json:"dry_run,omitempty"`
	State hub.OrderState  `json:"state"`
	Taken time.Time       `json:"taken,omitzero"`
	Ended time.Time       `json:"ended,omitzero"`
	Said  string          `json:"said,omitempty"`
	Steps []hub.OrderStep `json:"steps,omitempty"`
}

func orderShown(x hub.Ordered) shownOrder {
	s := shownOrder{Host: x.Order.Host, ID: x.Order.Subject.ID, By: x.Order.By, Made: x.Order.Made, Asked: x.Order.Needs(), Look: x.Order.Look,
		State: x.State, Taken: x.Taken, Ended: x.Ended, Said: x.Said, Steps: x.Steps}
	if x.Order.Seconds > 0 {
		s.For = x.Order.For().String()
	}
	return s
}

// ordered returns the actions of --do for a host's event: evidence is one that only an
// order asks for alone.
func ordered(do string) ([]respond.Action, error) {
	if strings.TrimSpace(do) == order.Evidence {
		return nil, nil
	}
	return respond.ParseActions(do)
}
