package install

import (
	"errors"
	"fmt"
	"os/exec"
	"path"
	"strings"
)

// Without root nothing restarts a worker that the host ended at logout. A
// timer of the user's own systemd does, where it outlives her logins, and a
// line for cron elsewhere.

// resendMinutes is how long an event of an ended worker waits at most.
const resendMinutes = 5

// resend is what sends the events that an ended worker left behind.
type resend struct{ account }

func (a resend) plan(p *planner) error {
	words := []string{a.Binary, "deliver", "--once"}
	if a.Config != "" {
		words = append(words, "--config", a.Config)
	}
	if a.Spool != "" {
		words = append(words, "--spool", a.Spool)
	}
	if a.name != "" && p.h.exists("/var/lib/systemd/linger/"+a.name) {
		return a.timer(p, words)
	}
	return a.cron(p, words)
}

const timerName = "sshnotify-resend"

// wants is the link that has the timer started.
func (a resend) wants() string {
	return path.Join(a.ConfigHome, "systemd/user/timers.target.wants", timerName+".timer")
}

func (a resend) timer(p *planner, words []string) error {
	changed := false
	for _, u := range userUnits(words) {
		c, err := p.file(wholeFile{path: path.Join(a.ConfigHome, "systemd/user", u.name), content: []byte(u.text), mode: 0o644, why: "sends what an ended worker left"})
		if err != nil {
			return err
		}
		changed = changed || c
	}
	enabled := p.h.exists(a.wants())
	if changed {
		p.run("systemd reads the new units", nil, "systemctl", "--user", "daemon-reload")
	}
	if changed || !enabled {
		p.run("sends what an ended worker left, every few minutes",
			[]string{"systemctl", "--user", "disable", "--now", timerName + ".timer"},
			"systemctl", "--user", "enable", "--now", timerName+".timer")
	}
	return nil
}

// crontab reads the user's crontab; ok is false where there is no cron.
func (p *planner) crontab() (text []byte, ok bool, err error) {
	text, err = p.h.ask(p.ctx, "crontab", "-l")
	var exit *exec.ExitError
	switch {
	case errors.Is(err, errNoCommands), errors.Is(err, exec.ErrNotFound):
		return nil, false, nil
	case errors.As(err, &exit):
		// crontab(1) fails where there is none yet, and writing an empty one
		// over one that could not be read is what must not happen.
		if strings.Contains(err.Error(), "no crontab") || strings.Contains(err.Error(), "can't open") {
			return nil, true, nil
		}
		return nil, false, fmt.Errorf("crontab -l: %w", err)
	case err != nil:
		return nil, false, fmt.Errorf("crontab -l: %w", err)
	}
	return text, true, nil
}

func (a resend) cron(p *planner, words []string) error {
	old, ok, err := p.crontab()
	if err != nil {
		return err
	}
	// In a crontab a percent sign ends the command (crontab(5)).
	line := strings.ReplaceAll(quoteWords(words, quoteShell), "%", `\%`)
	line = fmt.Sprintf("*/%d * * * * %s >/dev/null 2>&1", resendMinutes, line)
	if !ok {
		p.note("no cron here: an event that an ended worker left waits for the next login; " +
			"loginctl enable-linger, then install again, lets systemd send it")
		return nil
	}
	text, err := setBlock(old, blockBegin+"\n"+line+"\n"+blockEnd+"\n")
	if err != nil {
		return fmt.Errorf("crontab: %w", err)
	}
	p.setCrontab(old, text, "sends what an ended worker left, every few minutes")
	return nil
}

// setCrontab plans a new crontab in the place of an old one.
func (p *planner) setCrontab(old, text []byte, why string) {
	if string(old) == string(text) {
		return
	}
	p.add(Change{Action: Run, Command: crontabCommand(text), Undo: crontabCommand(old), Old: old, New: text, Existed: len(old) > 0, Why: why})
}

func crontabCommand(text []byte) Command {
	if len(text) == 0 {
		return Command{Args: []string{"crontab", "-r"}}
	}
	return Command{Args: []string{"crontab", "-"}, Stdin: text}
}

func (a resend) undo(u *uninstaller) error {
	if u.h.exists(a.wants()) {
		u.run("nothing sends what waits any more", []string{"systemctl", "--user", "enable", "--now", timerName + ".timer"},
			"systemctl", "--user", "disable", "--now", timerName+".timer")
		u.unlinked(a.wants())
	}
	old, ok, err := u.crontab()
	if err != nil || !ok {
		return err
	}
	text, err := cutBlock(old)
	if err != nil {
		return fmt.Errorf("crontab: %w", err)
	}
	u.setCrontab(old, text, "nothing sends what waits any more")
	return nil
}

// check checks that something sends what an ended worker left.
func (a resend) check(c *checker) {
	if c.h.exists(a.wants()) {
		c.OK("resend", "a timer of the account's own systemd")
		return
	}
	text, ok, err := (&planner{ctx: c.ctx, h: c.h}).crontab()
	if err != nil || !ok {
		c.Warn("resend", "loginctl enable-linger, or have cron installed, then: "+againUser, "no timer and no cron: what an ended worker left waits for the next login")
		return
	}
	if found, err := findBlocks(text); err != nil || len(found) == 0 {
		c.Warn("resend", againUser, "no line in the crontab: what an ended worker left waits for the next login")
		return
	}
	c.OK("resend", "a line in the crontab")
}
