package cmd

import (
	"log/slog"

	"github.com/sshnotify/sshnotify/internal/asked"
	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/store"
)

// takeAnswers gives the messages of a bot buttons, where it has a socket for the answers:
// of a worker that stays, since somebody must listen.
func takeAnswers(c config.Config, set *deliver.Settings, db *store.DB, log *slog.Logger, alarm func(string)) error {
	if c.Hub.Host() {
		return nil // the hub asks
	}
	for i, t := range set.Targets {
		bot, is := t.Dest.(*channel.SlackBot)
		if !is {
			continue
		}
		if _, has := bot.App(); !has {
			continue
		}
		desk, err := asked.New(asked.Options{
			Bot: bot, DB: db, Memory: history.New(db, c.History.Options(c.Zone())), People: c.People, Zone: c.Zone(), Clock12: c.Clock12(), Log: log, Alarm: alarm,
		})
		if err != nil {
			return err
		}
		set.Targets[i].Dest, set.Beside = desk, desk.Run
		return nil
	}
	return nil
}
