package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// The keys that an upgrade keeps as they were.
const (
	notify       = "notify"
	learning     = "history.learning"
	notifyLogout = "login.notify_logout"
)

func keptKeys() []string { return []string{notify, learning, notifyLogout} }

// Before returns the settings of a host that told logins before notify could be
// "auto": what its files leave unsaid stays as it was. A notifier never goes
// quiet by itself.
func (c Config) Before() Config {
	if c.SaidIn[notify] == "" {
		c.Notify = policy.NotifyAll
	}
	if c.SaidIn[notifyLogout] == "" {
		c.Login.NotifyLogout = "alerted"
	}
	return c
}

// SaysWhatChanged reports whether Before would change nothing, because the files say
// all of which the default has been another.
func (c Config) SaysWhatChanged() bool { return c.SaidIn[notify] != "" && c.SaidIn[notifyLogout] != "" }

// UpgradedText returns what an upgrade at a time has to write into UpgradedFile, so
// that the settings say what Before only knows; "" where they say all of it.
func (c Config) UpgradedText(now time.Time) string {
	if c.SaysWhatChanged() {
		return ""
	}
	was := c.Before()
	values := map[string]string{notify: was.Notify, learning: strictoml.FormatDuration(was.History.Learning), notifyLogout: was.Login.NotifyLogout}
	var b strings.Builder
	fmt.Fprintf(&b, `# Written by an upgrade of sshnotify on %s. Logins were told here before the
# defaults became notify = "auto" and notify_logout = "none", and a notifier does
# not go quiet by itself: so this says what held until then.
#
# It is yours from now on. What any other settings file says counts instead. Change
# or remove it as you like, and then reload the service; what is removed has the
# default of new installations.
`, now.Format(time.DateOnly))
	for _, key := range keptKeys() {
		if c.SaidIn[key] != "" {
			continue
		}
		table, name, in := strings.Cut(key, ".")
		b.WriteByte('\n')
		if in {
			fmt.Fprintf(&b, "[%s]\n", table)
		} else {
			name = table
		}
		fmt.Fprintf(&b, "%s = %s\n", name, strconv.Quote(values[key]))
	}
	return b.String()
}

// keptBy returns which keys UpgradedFile says, and its name.
func (c Config) keptBy() (keys []string, file string) {
	if len(c.Files) == 0 {
		return nil, ""
	}
	file = UpgradedFile(c.Files[0])
	for _, key := range keptKeys() {
		if c.SaidIn[key] == file {
			keys = append(keys, key)
		}
	}
	return keys, file
}
