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

// resend plans what sends the events that an ended worker left behind.
func (p *planner) resend(a userPlace) error {
	words := []string{a.Binary, "deliver", "--once"}
	if a.Config != "" {
		words = append(words, "--config", a.Config)
	}
	if a.Spool != "" {
		words = append(words, "--spool", a.Spool)
	}
	if a.name != "" && p.h.exists("/var/lib/systemd/linger/"+a.name) {
		return p.resendTimer(a, words)
	}
	return p.resendCron(words)
}

const timerName = "sshnotify-resend"

func (p *planner) resendTimer(a userPlace, words []string) error {
	dir := path.Join(a.ConfigHome, "systemd/user")
	changed := false
	for _, u := range userUnits(words) {
		c, err := p.file(whole{path: path.Join(dir, u.name), content: []byte(u.text), mode: 0o644, why: "sends what an ended worker left"})
		if err != nil {
			return err
		}
		changed = changed || c
	}
	enabled := p.h.exists(path.Join(dir, "timers.target.wants", timerName+".timer"))
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

func (p *planner) resendCron(words []string) error {
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
