package install

import (
	"context"
	"os"
	"path"
	"slices"
	"strings"
)

// Layout is how a host keeps its PAM files.
type Layout string

// The layouts.
const (
	PlainPAM   Layout = "pam.d"           // files that their owner edits
	DebianPAM  Layout = "pam-auth-update" // common-* files are generated
	Authselect Layout = "authselect"      // system-auth and the like are generated
	NixPAM     Layout = "nix"             // all files are generated
	NoPAM      Layout = "none"
)

// SSHD is what is known of the SSH server.
type SSHD struct {
	// UsePAM is "yes", "no", or "" where it is not known.
	UsePAM string `json:"use_pam"`
	// Service is the name by which PAM knows it.
	Service string `json:"service"`
	// ExposeAuthInfo is "yes", "no", or "" where it is not known: whether a shell
	// is told which key logged in.
	ExposeAuthInfo string `json:"expose_auth_info,omitempty"`
	// From says how it is known: "sshd -T", or the settings file.
	From string `json:"from,omitempty"`
}

// HookLine is a line of pam.d that runs sshnotify.
type HookLine struct {
	File string `json:"file"`
	Row  int    `json:"row"`
}

// Findings are what a host is like, before anything is changed.
type Findings struct {
	Distribution string     `json:"distribution"` // as in os-release(5)
	PAM          Layout     `json:"pam"`
	Init         string     `json:"init"`    // systemd, openrc or ""
	Running      bool       `json:"running"` // the init system is up; not in an image
	SELinux      string     `json:"selinux"` // enforcing, permissive or ""
	SSHD         SSHD       `json:"sshd"`
	Packaged     bool       `json:"packaged"` // a package put the service's unit in
	ServiceUser  bool       `json:"service_user"`
	Hooks        []HookLine `json:"hooks"`
	OldHooks     []OldHook  `json:"old_hooks"`
}

// Look finds out what the host is like. It changes nothing; what can't be
// found out is left empty.
func Look(ctx context.Context, h Host) Findings {
	f := Findings{
		Distribution: h.distribution(),
		PAM:          h.layout(),
		SSHD:         h.sshd(ctx),
		Packaged:     h.packagedUnit() != "",
		OldHooks:     h.oldHooks(hostStartFiles),
	}
	f.Init, f.Running = h.initSystem()
	f.SELinux = h.selinux()
	_, f.ServiceUser = h.UserByName(ServiceUser)
	f.Hooks = h.hookLines()
	return f
}

func (h Host) distribution() string {
	for line := range strings.SplitSeq(h.text("/etc/os-release"), "\n") {
		if v, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			return strings.Trim(v, `"'`)
		}
	}
	return ""
}

// layout goes by what exists: names of distributions say little about their
// derivatives.
func (h Host) layout() Layout {
	if p, err := h.resolve("/etc/pam.d/sshd"); err == nil && strings.HasPrefix(p, "/nix/store/") {
		return NixPAM
	}
	switch {
	case h.exists("/usr/sbin/pam-auth-update") || h.exists("/sbin/pam-auth-update"):
		return DebianPAM
	case h.exists("/etc/authselect/authselect.conf"):
		return Authselect
	case h.exists("/etc/pam.d"), h.exists("/usr/lib/pam.d"):
		return PlainPAM
	}
	return NoPAM
}

func (h Host) initSystem() (name string, running bool) {
	switch {
	case h.exists("/run/systemd/system"):
		// sd_booted(3)
		return "systemd", h.Run != nil
	case h.exists("/run/openrc"):
		return "openrc", h.Run != nil
	case h.exists("/usr/lib/systemd/systemd"), h.exists("/lib/systemd/systemd"):
		return "systemd", false
	case h.exists("/sbin/openrc-run"), h.exists("/usr/sbin/openrc-run"):
		return "openrc", false
	}
	return "", false
}

// selinux tells what is in force now, and what an image asks for.
func (h Host) selinux() string {
	switch strings.TrimSpace(h.text("/sys/fs/selinux/enforce")) {
	case "1":
		return "enforcing"
	case "0":
		return "permissive"
	}
	if h.Run != nil {
		return ""
	}
	for line := range strings.SplitSeq(h.text("/etc/selinux/config"), "\n") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "SELINUX="); ok && v != "disabled" {
			return v
		}
	}
	return ""
}

// packagedUnit returns the path of the service's unit that a package put in.
func (h Host) packagedUnit() string { return h.packaged(unitName) }

func (h Host) packaged(unit string) string {
	for _, dir := range []string{"/usr/lib/systemd/system", "/lib/systemd/system"} {
		if p := path.Join(dir, unit); h.exists(p) {
			return p
		}
	}
	return ""
}

func (h Host) hookLines() []HookLine {
	var out []HookLine
	for _, l := range h.hookRules() {
		out = append(out, l.HookLine)
	}
	return out
}

type hookRule struct {
	HookLine
	rule pamRule
}

// hookRules finds the hook in every file of pam.d. Files that are not
// understood are passed over: only those that are edited need to be.
func (h Host) hookRules() []hookRule {
	var out []hookRule
	for _, name := range h.pamNames() {
		f, err := h.read(path.Join(pamDirs[0], name))
		if err != nil {
			continue
		}
		rules, err := parsePAM(f.data)
		if err != nil {
			continue
		}
		for _, r := range hooks(rules) {
			out = append(out, hookRule{HookLine{f.path, r.row}, r})
		}
	}
	return out
}

// pamNames lists /etc/pam.d, without what editors and packages left there.
func (h Host) pamNames() []string {
	dir, err := h.resolve(pamDirs[0])
	if err != nil {
		return nil
	}
	entries, err := os.ReadDir(h.real(dir))
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		n := e.Name()
		if strings.HasPrefix(n, ".") || strings.HasSuffix(n, "~") || slices.Contains(
			[]string{".bak", ".orig", ".rpmnew", ".rpmsave", ".dpkg-old", ".dpkg-dist", ".dpkg-new", ".pacnew", ".pacsave", ".apk-new"}, path.Ext(n)) {
			continue
		}
		out = append(out, n)
	}
	return out
}

// hookedServices returns the services that the host was set up for: sshd, and
// those whose stacks have the hook.
func (f Findings) hookedServices() []string {
	out := []string{"sshd"}
	for _, l := range f.Hooks {
		for s, names := range hookable() {
			if slices.Contains(names, path.Base(l.File)) && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}
