// Package logger writes structured logs to the host's system log. It stands apart
// from package syslog because the hook has no time for log/slog.
package logger

import (
	"bytes"
	"log/slog"

	"github.com/sshnotify/sshnotify/internal/syslog"
)

// New returns a logger whose lines of a level and above go to w, as warnings.
func New(w *syslog.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(lines{w}, &slog.HandlerOptions{Level: level, ReplaceAttr: noTime}))
}

type lines struct{ w *syslog.Writer }

func (s lines) Write(b []byte) (int, error) {
	return len(b), s.w.Send(syslog.Warning, string(bytes.TrimSpace(b)))
}

// noTime leaves out what the system log adds itself.
func noTime(groups []string, at slog.Attr) slog.Attr {
	if len(groups) == 0 && at.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return at
}
