package install

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// The places of Debian's way to share PAM's rules (pam-auth-update(8)): packages
// bring profiles, of which it makes the files that all services include.
const (
	profileName   = "sshnotify"
	profilePath   = "/usr/share/pam-configs/" + profileName
	profileSaved  = "/var/lib/pam"
	commonSession = "/etc/pam.d/common-session"
)

// profile says how a service gets its hook by a profile.
type profile struct {
	text   string // "" where it can't
	reason string // why it can't where it should
}

// profile looks whether a service gets its hook by a profile: that of sshd does,
// whose own file is openssh-server's to replace. The hook is then run for every
// service with a session, and does nothing for those that are not sshd; su, sudo
// and login need lines of their own (see Hook).
func (h Host) profile(f Findings, d pamService) profile {
	if f.PAM != DebianPAM || d.name != "sshd" || h.Run == nil {
		return profile{}
	}
	text, ok := d.hook.profile()
	if !ok {
		return profile{reason: "the hook's line is too odd for a profile"}
	}
	file, err := h.read("/etc/pam.d/sshd")
	if err != nil || !file.exists || h.usesProfiles(file.data) != nil {
		return profile{reason: commonSession + " is not included where the hook may stand"}
	}
	if err := h.managed(); err != nil {
		return profile{reason: err.Error()}
	}
	return profile{text: text}
}

// profile is the text of a profile with the hook: that which the package brings,
// with another line.
func (k Hook) profile() (text string, ok bool) {
	line := k.line("\toptional\t", "")
	at := strings.Index(pamConfigText, "\toptional\t")
	// pam-auth-update cuts a rule at its blanks.
	return pamConfigText[:at] + line + "\n", !strings.ContainsAny(line, "[]")
}

// usesProfiles returns why the hook can't stand in common-session for the service
// of a file.
func (h Host) usesProfiles(text []byte) error {
	rules, err := parsePAM(text)
	if err != nil {
		return err
	}
	rules = without(rules)
	place, err := h.place(rules)
	if err != nil {
		return err
	}
	for _, r := range rules {
		if r.typ == "" && r.module == path.Base(commonSession) {
			if r.from < place.first {
				return errors.New("it comes before pam_selinux.so close")
			}
			return h.earlyEnough(r)
		}
		inner, err := h.flatten([]pamRule{r}, "session")
		if err != nil {
			return err
		}
		if slices.ContainsFunc(inner, func(r pamRule) bool { return moves(r) || ends(r) || r.bracket && jumps().MatchString(r.control) }) {
			return fmt.Errorf("it comes behind line %d", r.row)
		}
	}
	return errors.New("it is not included")
}

// earlyEnough looks at what comes before the hook in common-session: of the
// Additional modules those of a higher priority than that of pam_unix.
func (h Host) earlyEnough(include pamRule) error {
	session, err := h.flatten([]pamRule{include}, "session")
	if err != nil {
		return err
	}
	for _, r := range session {
		switch {
		case r.is("pam_unix.so"):
			return nil
		case isHook(r):
		case moves(r) || ends(r):
			return fmt.Errorf("the hook would come behind %s", path.Base(r.module))
		}
	}
	return nil
}

// managed returns why pam-auth-update would leave the files alone that it made: it
// does where one has a rule that is not from a profile (its diff_profiles).
func (h Host) managed() error {
	for _, typ := range []string{"auth", "account", "password", "session", "session-noninteractive"} {
		at := "/etc/pam.d/common-" + typ
		saved, err := h.read(path.Join(profileSaved, typ))
		if err != nil {
			return err
		}
		file, err := h.read(at)
		if err != nil {
			return err
		}
		if !saved.exists || !file.exists || !sameRules(file.data, saved.data, strings.TrimSuffix(typ, "-noninteractive")) {
			return fmt.Errorf("pam-auth-update leaves %s alone, which was changed by hand (pam-auth-update --force makes it anew)", at)
		}
	}
	return nil
}

// jumpLength matches how many rules are skipped, which depends on what else is
// there.
var jumpLength = lazy(`(\[[^0-9\]]*)([0-9]+|end)([^\]]*\])`)

// ruleHead matches the control and the module of a rule.
var ruleHead = lazy(`^(\[[^\]]+\]|\w+)\s+\S+`)

// sameRules reports whether each rule in the managed parts of a file stands, in
// this order, in what pam-auth-update has saved of the profiles. Arguments may
// be others: it keeps those that were added or taken out.
func sameRules(file, saved []byte, typ string) bool {
	head := func(line string) string {
		return ruleHead().FindString(jumpLength().ReplaceAllString(line, "$1$3"))
	}
	var known []string
	for line := range strings.Lines(string(saved)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "Module: ") {
			known = append(known, head(line))
		}
	}
	ends := map[string]string{
		`# here are the per-package modules (the "Primary" block)`:         "# here's the fallback if no module succeeds",
		`# and here are more per-package modules (the "Additional" block)`: "# end of pam-auth-update config",
	}
	until, blocks := "", 0
	for line := range strings.Lines(string(file)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case until == "":
			for begin, end := range ends {
				if strings.HasPrefix(line, begin) {
					until, blocks = end, blocks+1
				}
			}
		case strings.HasPrefix(line, until):
			until = ""
		default:
			rule, ok := strings.CutPrefix(line, typ)
			want := head(strings.TrimLeft(rule, " \t"))
			at := 0
			for at < len(known) && known[at] != want {
				at++
			}
			if !ok || at == len(known) {
				return false
			}
			known = known[at+1:]
		}
	}
	return blocks == 2
}

// pamAuthUpdate runs pam-auth-update, which asks nobody.
func pamAuthUpdate(args ...string) []string {
	return append([]string{"env", "DEBIAN_FRONTEND=noninteractive", "pam-auth-update"}, args...)
}

// enable puts the hook in by a profile, and takes an older line out of the
// service's own file. done is false where there is no profile for it.
func (p *planner) enable(into profile, d pamService) (done bool, err error) {
	if into.text == "" {
		return false, nil
	}
	f, err := p.h.read(profilePath)
	if err != nil {
		return false, err
	}
	it, ours := p.rec.find(kindFile, f.path)
	same := f.exists && string(f.data) == into.text
	if f.exists && !same && !(ours && it.SHA256 == sum(f.data)) {
		p.note("/etc/pam.d/%s gets a line of its own: %s has another", d.name, profilePath)
		return false, nil
	}
	if !same || ours {
		if _, err := p.file(wholeFile{path: profilePath, content: []byte(into.text), mode: 0o644, owner: ownedByRoot, why: "the hook, for pam-auth-update"}); err != nil {
			return false, err
		}
	}
	if p.h.inCommon(d.hook) != nil {
		p.run("the hook, in what sshd's stack includes", pamAuthUpdate("--remove", profileName), pamAuthUpdate("--enable", profileName)...)
		p.last().proof = func(h Host) error { return h.inCommon(d.hook) }
	}
	return true, p.cut(d)
}

// inCommon returns why a hook is not in common-session, once and as it is.
func (h Host) inCommon(k Hook) error {
	f, err := h.read(commonSession)
	if err != nil {
		return err
	}
	rules, err := parsePAM(f.data)
	if err != nil {
		return inFile(err, f.path)
	}
	if found := hooks(rules); len(found) != 1 || !sameHook(found[0], k) {
		return fmt.Errorf("pam-auth-update did not put the hook into %s", f.path)
	}
	return nil
}

// cut takes a line of its own out of the file of a service.
func (p *planner) cut(d pamService) error {
	f, err := p.h.read(path.Join(pamDirs[0], d.name))
	if err != nil || !f.exists {
		return err
	}
	content, err := cutHook(f.data)
	if err != nil {
		return inFile(err, f.path)
	}
	if it, ours := p.rec.find(kindEdit, f.path); ours {
		p.rec.drop(it)
	}
	if !bytes.Equal(content, f.data) {
		p.add(Change{Action: Write, Path: f.path, Mode: f.mode, Old: f.data, New: content, Existed: true, Why: "the hook is in the profile"})
	}
	return nil
}

// profileOut takes the profile's hook out of what pam-auth-update makes. done is
// false where it would not.
func (u *uninstaller) profileOut() (done bool) {
	if u.h.layout() != DebianPAM || !u.h.exists(profilePath) {
		return false
	}
	if u.h.Run == nil {
		u.note("%s: left to do: pam-auth-update --remove %s", commonSession, profileName)
		return true
	}
	if u.h.managed() != nil {
		return false
	}
	u.run("the hook goes", pamAuthUpdate("--enable", profileName), pamAuthUpdate("--remove", profileName)...)
	u.last().proof = func(h Host) error {
		for _, at := range []string{commonSession, commonSession + "-noninteractive"} {
			if mentionsHook(h.text(at)) {
				return fmt.Errorf("pam-auth-update left the hook in %s", at)
			}
		}
		return nil
	}
	return true
}
