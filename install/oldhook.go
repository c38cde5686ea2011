package install

import (
	"os"
	"path"
	"strings"
)

// OldHook is something else that tells about logins, so that one login would
// be told twice. The line itself is not kept: it often holds a secret.
type OldHook struct {
	File string `json:"file"`
	Row  int    `json:"row"`
	What string `json:"what"`
}

// hostStartFiles are what every user's shells, or sshd, run at a login. A
// folder stands for all files in it.
var hostStartFiles = []string{
	"/etc/profile", "/etc/profile.d", "/etc/bash.bashrc", "/etc/bashrc", "/etc/zshrc", "/etc/zshenv",
	"/etc/zsh/zshrc", "/etc/zsh/zshenv", "/etc/zsh/zprofile", "/etc/ssh/sshrc", "/etc/pam.d/sshd", "/root/.bashrc", "/root/.profile",
}

// userStartFiles are the same of one account, in its home.
var userStartFiles = []string{
	".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshenv", ".zshrc", ".zprofile", ".zlogin",
	".config/fish/config.fish", ".config/fish/conf.d", ".ssh/rc",
}

// startPlaces returns userStartFiles as paths of the host.
func (a account) startPlaces() []string {
	var out []string
	for _, name := range userStartFiles {
		out = append(out, path.Join(a.Home, name))
	}
	return out
}

// oldHooks looks for other notifiers in files and folders of the host.
func (h Host) oldHooks(places []string) []OldHook {
	var out []OldHook
	for _, p := range places {
		f, err := h.stat(p)
		if err != nil || !f.exists {
			continue
		}
		files := []string{f.path}
		if f.dir {
			files = nil
			entries, _ := os.ReadDir(h.real(f.path))
			for _, e := range entries {
				files = append(files, path.Join(f.path, e.Name()))
			}
		}
		for _, name := range files {
			f, err := h.read(name)
			if err != nil || !f.exists {
				continue
			}
			out = append(out, oldHooksIn(f.path, f.data)...)
		}
	}
	return out
}

func oldHooksIn(name string, text []byte) []OldHook {
	if blocks, err := findBlocks(text); err == nil {
		// Lines keep their numbers.
		for _, b := range blocks {
			for i := b.from; i < b.to; i++ {
				if text[i] != '\n' {
					text[i] = ' '
				}
			}
		}
	}
	var out []OldHook
	for i, l := range lines(text) {
		line := strings.ToLower(strings.TrimSpace(string(text[l.from:l.to])))
		if line == "" || line[0] == '#' {
			continue
		}
		if what := oldKind(line); what != "" {
			out = append(out, OldHook{name, i + 1, what})
		}
	}
	return out
}

// oldKind names what a line of a start-up file, or of pam.d, does.
func oldKind(line string) string {
	for _, k := range []struct{ word, what string }{
		{"hooks.slack.com", "posts to a Slack webhook"},
		{"slack.com/api/chat.postmessage", "posts to Slack"},
		{"threatjammer", "asks Threat Jammer"},
		{"discord.com/api/webhooks", "posts to a Discord webhook"},
		{"api.telegram.org", "posts to Telegram"},
	} {
		if strings.Contains(line, k.word) {
			return k.what
		}
	}
	if !strings.Contains(line, "pam_exec.so") || mentionsHook(line) {
		return ""
	}
	for _, word := range []string{"notif", "slack", "telegram", "discord", "alert", "ntfy", "ssh-login"} {
		if strings.Contains(line, word) {
			return "runs another notifier at login"
		}
	}
	return ""
}
