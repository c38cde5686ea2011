package cmd

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/asked"
	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/respond"
	"github.com/sshnotify/sshnotify/internal/store"
)

// takeAnswers gives the messages of a bot buttons, where it has a socket for the answers:
// of a worker that stays, since somebody must listen.
func takeAnswers(c config.Config, set *deliver.Settings, db *store.DB, stateDir, hostname string, log *slog.Logger, alarm func(string)) error {
	if c.Hub.Host() {
		return nil // the hub asks
	}
	for i, t := range set.Targets {
		bot, is := t.Dest.(*channel.SlackBot)
		if !is {
			continue
		}
		app, has := bot.App()
		if !has {
			continue
		}
		o := asked.Options{
			Bot: bot, DB: db, Memory: history.New(db, c.History.Options(c.Zone())), People: c.People, Zone: c.Zone(), Clock12: c.Clock12(), Log: log, Alarm: alarm,
		}
		if c.Hub.Hub() {
			o.Respond = hubOrders{&hub.Orders{DB: db, Memory: o.Memory, Hostname: hostname}}
		}
		desk, err := asked.New(o)
		if err != nil {
			return err
		}
		set.Targets[i].Dest = desk
		set.AddBeside(desk.Run)
		if app.Confirm {
			confirmed(set, desk, asked.Codes{Dir: stateDir, DB: db, Host: login.Live(), Log: log})
		}
		return nil
	}
	return nil
}

// confirmed has a desk take the codes that are typed in sessions: of this host at a
// socket, and of hosts that hand over as events.
func confirmed(set *deliver.Settings, desk *asked.Desk, codes asked.Codes) {
	set.Typed = func(ctx context.Context, in event.Session, number string) { desk.Typed(ctx, in, number) }
	codes.Take = func(ctx context.Context, in *deliver.Delivered, number string) asked.Reply {
		became, left := desk.Typed(ctx, in.Session, number)
		return asked.Reply{Became: became, Left: left}
	}
	set.AddBeside(func(ctx context.Context, _ deliver.Tell) { codes.Serve(ctx) })
}

// hubOrders lets a desk give orders to the hosts of a hub.
type hubOrders struct{ *hub.Orders }

func (h hubOrders) Takes(ctx context.Context, host string) ([]string, error) {
	t, err := h.Taker(ctx, host)
	return t.Allow, err
}

func (h hubOrders) ask(o asked.Order) hub.Ask {
	a := hub.Ask{ID: o.Event, For: o.For, By: o.By}
	for _, x := range o.Actions {
		a.Actions = append(a.Actions, respond.Action(x))
	}
	if len(a.Actions) == 0 {
		a.For = 0 // evidence does not end
	}
	return a
}

func (h hubOrders) Order(ctx context.Context, o asked.Order) error {
	_, err := h.Issue(ctx, h.ask(o))
	if no, ok := errors.AsType[*hub.NoOrderError](err); ok {
		why := no.Why
		if no.Host != "" {
			why += "; on " + no.Host + ": " + no.ByHand()
		}
		return &asked.NotOrderedError{Why: why}
	}
	if errors.Is(err, hub.ErrNoEvent) {
		return &asked.NotOrderedError{Why: err.Error()}
	}
	return err
}

func (h hubOrders) Ordered(ctx context.Context, o asked.Order) (bool, error) {
	a := h.ask(o)
	given, err := h.Of(ctx, o.Event)
	return slices.ContainsFunc(given, func(x hub.Ordered) bool {
		return x.Order.By == a.By && slices.Equal(x.Order.Actions, a.Actions) && !x.Order.Made.Before(o.At.Truncate(time.Millisecond))
	}), err
}
