package cmd

import (
	"context"
	"log/slog"
	"sync"

	"github.com/sshnotify/sshnotify/internal/asked"
	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/store"
)

// takeAnswers gives the messages of a bot buttons, where it has a socket for the answers:
// of a worker that stays, since somebody must listen.
func takeAnswers(c config.Config, set *deliver.Settings, db *store.DB, stateDir string, log *slog.Logger, alarm func(string)) error {
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
		desk, err := asked.New(asked.Options{
			Bot: bot, DB: db, Memory: history.New(db, c.History.Options(c.Zone())), People: c.People, Zone: c.Zone(), Clock12: c.Clock12(), Log: log, Alarm: alarm,
		})
		if err != nil {
			return err
		}
		set.Targets[i].Dest, set.Beside = desk, desk.Run
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
	set.Beside = func(ctx context.Context, tell deliver.Tell) {
		var both sync.WaitGroup
		both.Go(func() { codes.Serve(ctx) })
		desk.Run(ctx, tell)
		both.Wait()
	}
}
