package cmd

import (
	"log/slog"
	"time"

	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/watch"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

// watchFiguresEvery is how often the watcher writes its figures.
const watchFiguresEvery = 30 * time.Second

// watchFigures writes the figures of a watcher into its state folder.
type watchFigures struct {
	dir     string
	sources []source.Source
	named   bool // by the settings, so that each should be there
	log     *slog.Logger
	written time.Time
	said    bool // that they can't be written
}

func (f *watchFigures) write(w *watch.Watcher) {
	now := time.Now()
	if since := now.Sub(f.written); since >= 0 && since < watchFiguresEvery {
		return
	}
	f.written = now
	doc := figures.Watch{Written: now.UTC().Truncate(time.Second), Sources: map[string]figures.Source{}}
	stats := w.Stats()
	for _, s := range f.sources {
		st := s.Status()
		if !f.named && !st.There && st.Lines == 0 {
			continue // one of the usual logs, which this host has not
		}
		x := figures.Source{Lines: st.Lines, Last: st.LastLine.UTC(), Broken: st.Err != ""}
		if stat := stats[s.Name()]; stat != nil {
			x.Unknown = min(stat.Unknown, x.Lines)
		}
		doc.Sources[s.Name()] = x
	}
	for _, a := range w.Attacks.Known().Attackers {
		if now.Sub(a.Last) < time.Hour {
			doc.Attackers++
		}
	}
	err := figures.WriteWatch(f.dir, doc)
	if err != nil && !f.said {
		f.log.Warn("the figures can't be written", "error", err)
	}
	f.said = err != nil
}
