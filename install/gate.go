package install

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/passwd"
)

// GateOptions say how the second step is put in.
type GateOptions struct {
	Binary string // that the lines of PAM run
	// Settings is the gate's own file, which is made where it is missing.
	Settings FileText
	State    string // of secrets and counters; the record is kept there
	// Has reports whether a user has a second step, or may be sent one.
	Has func(user string) bool
	// Unenrolled: whoever has none gets in without.
	Unenrolled bool
}

// Where the parts of the second step are.
const (
	GateState   = "/var/lib/sshnotify-gate"
	gateSSHD    = "/etc/ssh/sshd_config.d/10-sshnotify-gate.conf"
	gateBegin   = "# >>> sshnotify gate >>>"
	gateEnd     = "# <<< sshnotify gate <<<"
	gateWas     = "#was: "
	gateSuffix  = "/sshnotify/gate" // of the small program's path
	ExemptGroup = "sshnotify-exempt"
)

// sshdOfGate are the lines of sshd_config(5). Root can do without a password only:
// sshd takes no answer of root's under PermitRootLogin prohibit-password, its default.
const sshdOfGate = `# Put here by sshnotify install --system --gate; sshnotify uninstall --system --gate
# takes it out. The key comes first; PAM asks for the second step.
KbdInteractiveAuthentication yes
AuthenticationMethods publickey,keyboard-interactive:pam
Match User root
    AuthenticationMethods publickey
Match Group ` + ExemptGroup + `
    AuthenticationMethods publickey
Match all
`

// methodsOfGate is what sshd -T says of those who are asked.
const methodsOfGate = "publickey,keyboard-interactive:pam"

// gateLines are the lines of PAM, in their order: who is known jumps over the two that
// ask. That is most people, each time: a small program says so where it is there.
func gateLines(binary, small string) string {
	known := binary + " gate known"
	if small != "" {
		known = small + " known"
	}
	return "auth [success=2 default=ignore] pam_exec.so quiet " + known + "\n" +
		"auth requisite pam_exec.so quiet stdout " + binary + " gate ask\n" +
		"auth requisite pam_exec.so quiet stdout expose_authtok " + binary + " gate verify\n" +
		"auth required pam_permit.so\n"
}

// passwordStack finds the line that has PAM ask for the account's password: the key was
// checked before, and the second step takes its place.
func passwordStack() *regexp.Regexp {
	return regexp.MustCompile(`(?m)^(@include[ \t]+common-auth|auth[ \t]+(include|substack)[ \t]+(password-auth|system-auth|system-remote-login|base-auth|common-auth))[ \t]*(#.*)?$`)
}

// setGate puts the second step in place of the password's stack. What is there already
// is brought up to date.
func setGate(text []byte, lines string) ([]byte, error) {
	text, err := cutGate(text)
	if err != nil {
		return nil, err
	}
	found := passwordStack().FindAllIndex(text, -1)
	if len(found) != 1 {
		return nil, &PAMError{Reason: fmt.Sprintf("%d lines ask for the account's password (@include common-auth, auth substack password-auth); with one, sshnotify would know what to replace", len(found))}
	}
	from, to := found[0][0], found[0][1]
	block := gateBegin + "\n" + gateWas + string(text[from:to]) + "\n" + lines + gateEnd
	return slices.Concat(text[:from], []byte(block), text[to:]), nil
}

// cutGate takes the second step out, to the byte.
func cutGate(text []byte) ([]byte, error) {
	from, to := bytes.Index(text, []byte(gateBegin)), bytes.Index(text, []byte(gateEnd))
	if from < 0 && to < 0 {
		return text, nil
	}
	if from < 0 || to < from || bytes.Count(text, []byte(gateBegin)) != 1 || bytes.Count(text, []byte(gateEnd)) != 1 {
		return nil, ErrDamaged
	}
	was := ""
	for line := range strings.Lines(string(text[from:to])) {
		if w, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), gateWas); ok {
			was = w
		}
	}
	if was == "" {
		return nil, ErrDamaged
	}
	return slices.Concat(text[:from], []byte(was), text[to+len(gateEnd):]), nil
}

// gateStack is the second step in PAM's stack of sshd.
type gateStack struct{ file, lines string }

func (a gateStack) plan(p *planner) error {
	f, err := p.h.read(a.file)
	if err != nil {
		return err
	}
	text, err := setGate(f.data, a.lines)
	if err != nil {
		return inFile(err, f.path)
	}
	return p.edit(f, text, 0o644, "sshd asks for the second step")
}

func (a gateStack) undo(u *uninstaller) error {
	return u.cutFrom(a.file, cutGate, "the second step goes")
}

func (a gateStack) check(c *checker) {
	f, err := c.h.read(a.file)
	if err != nil {
		c.Fail("gate stack", againGate, "%v", err)
		return
	}
	want, err := setGate(f.data, a.lines)
	switch {
	case err != nil:
		c.Fail("gate stack", againGate, "%s: %v", f.path, err)
	case !bytes.Contains(f.data, []byte(gateBegin)):
		c.Fail("gate stack", againGate, "%s has no second step: AuthenticationMethods asks PAM, which asks for the password", f.path)
	case !bytes.Equal(want, f.data):
		c.Fail("gate stack", againGate, "%s: the lines of the second step are not as they were put in", f.path)
	default:
		c.OK("gate stack", "%s", f.path)
	}
}

// gateServer is what sshd's settings say of the second step.
type gateServer struct{ wholeFile }

func (a gateServer) plan(p *planner) error {
	changed, err := p.file(a.wholeFile)
	if err == nil && changed {
		p.renewed = true
	}
	return err
}

func (a gateServer) undo(u *uninstaller) error { u.known(a.wholeFile); return nil }

func (a gateServer) check(c *checker) {
	for _, r := range []struct{ user, want string }{
		{"nobody", methodsOfGate}, {"root", "publickey"},
	} {
		out, err := c.h.askSSHD(c.ctx, c.f.SSHD.program(), "-C", "user="+r.user+",host=localhost,addr=127.0.0.1")
		if err != nil {
			c.Warn("gate sshd", "sudo sshd -T -C user="+r.user, "sshd does not say what holds for %s: %v", r.user, err)
			continue
		}
		got := sshdValue(out, "authenticationmethods")
		switch {
		case got != r.want && r.user == "root":
			c.Warn("gate sshd", "see Match User root in "+gateSSHD, "root logs in by %q; sshd takes no second step of root's unless PermitRootLogin is yes", got)
		case got != r.want || sshdValue(out, "kbdinteractiveauthentication") != "yes":
			c.Fail("gate sshd", againGate, "sshd asks for no second step: AuthenticationMethods is %q, KbdInteractiveAuthentication %q", got, sshdValue(out, "kbdinteractiveauthentication"))
		default:
			c.OK("gate sshd", "%s logs in by %s", map[string]string{"nobody": "everybody else", "root": "root"}[r.user], got)
		}
	}
	c.checkPeople()
}

// checkPeople looks whether a Match block of the host's own, which goes before what is
// put in for all, lets some of those in who have to be asked. It asks as from this
// machine: a block for other addresses is not seen.
func (c *checker) checkPeople() {
	exempt := c.h.membersOf(ExemptGroup)
	var without []string
	for _, u := range c.h.people() {
		if u.Name == "root" || slices.Contains(exempt, u.Name) {
			continue
		}
		out, err := c.h.askSSHD(c.ctx, c.f.SSHD.program(), "-C", "user="+u.Name+",host=localhost,addr=127.0.0.1")
		if err == nil && sshdValue(out, "authenticationmethods") != methodsOfGate {
			without = append(without, u.Name)
		}
	}
	if len(without) > 0 {
		c.Warn("gate sshd", "sudo sshd -T -C user="+without[0]+"; grep -n Match /etc/ssh/sshd_config", "a Match block of sshd's settings has these log in another way, without the second step: %s", strings.Join(without, ", "))
	}
}

// gateReload has sshd read its settings, if they are right.
type gateReload struct{}

func (gateReload) plan(p *planner) error {
	if len(p.plan.Changes) > 0 {
		p.reloadSSHD()
	}
	return nil
}

func (gateReload) undo(u *uninstaller) error { return nil }
func (gateReload) check(*checker)            {}

// reloadSSHD has the server take its settings, which it looks at first.
func (p *planner) reloadSSHD() {
	p.run("sshd finds its settings right", nil, p.f.SSHD.program(), "-t")
	if p.f.Init != "systemd" || !p.f.Running {
		p.note("sshd reads its settings when it is started again: do that now, and keep this session open")
		return
	}
	unit := "ssh.service"
	if !p.h.exists("/lib/systemd/system/ssh.service") && !p.h.exists("/usr/lib/systemd/system/ssh.service") {
		unit = "sshd.service"
	}
	p.run("sshd reads its settings", []string{"systemctl", "reload-or-restart", unit}, "systemctl", "reload-or-restart", unit)
}

// program is the server's path.
func (s SSHD) program() string {
	if bin, ok := strings.CutSuffix(s.From, " -T"); ok {
		return bin
	}
	return "/usr/sbin/sshd"
}

func sshdValue(out, key string) string {
	for line := range strings.Lines(out) {
		if k, v, _ := strings.Cut(strings.TrimSpace(line), " "); k == key {
			return v
		}
	}
	return ""
}

// againGate is the command that puts the second step right.
const againGate = again + " --gate"

// gateArtifacts is the table of what the second step needs on a host.
func gateArtifacts(h Host, f Findings, o GateOptions) []artifact {
	return []artifact{
		recordFolder{folder{o.State, 0o700, ownedByRoot, "secrets and counters of the second step"}},
		settingsFiles{files: []FileText{o.Settings}, dirMode: 0o750, mode: 0o600, owner: ownedByRoot},
		gateStack{path.Join("/etc/pam.d", f.SSHD.Service), gateLines(o.Binary, h.small(o.Binary, gateSuffix))},
		gateServer{rootsFile(gateSSHD, sshdOfGate, "sshd asks PAM after the key")},
		gateReload{},
	}
}

// PlanGate plans to put the second step in. *HostError says who would be locked out,
// and what to do first.
func PlanGate(ctx context.Context, h Host, o GateOptions) (Plan, error) {
	if h.live() && h.UID != 0 {
		return Plan{}, &HostError{Reason: "only root can change how people log in", Do: "sudo sshnotify install --system --gate"}
	}
	f := Look(ctx, h)
	if err := f.usable(); err != nil {
		return Plan{}, err
	}
	if err := h.trusted(o.Binary); err != nil {
		return Plan{}, &HostError{Reason: "sshd's PAM must not run this program as root: " + err.Error(), Do: "sudo sshnotify install --system"}
	}
	if err := h.lockedOut(ctx, f.SSHD, o); err != nil {
		return Plan{}, err
	}
	if !strings.Contains(h.text("/etc/ssh/sshd_config"), "sshd_config.d") {
		return Plan{}, &HostError{Reason: "/etc/ssh/sshd_config does not include /etc/ssh/sshd_config.d/*.conf", Do: "put Include /etc/ssh/sshd_config.d/*.conf into its first line"}
	}
	p, err := newPlanner(ctx, h, f, path.Join(o.State, recordName))
	if err != nil {
		return Plan{}, err
	}
	return p.walk(gateArtifacts(h, f, o))
}

// PlanGateUninstall plans to take out what PlanGate put in. Secrets stay without purge.
func PlanGateUninstall(ctx context.Context, h Host, o GateOptions, undo UndoOptions) (Plan, error) {
	if h.live() && h.UID != 0 {
		return Plan{}, &HostError{Reason: "only root can change how people log in", Do: "sudo sshnotify uninstall --system --gate"}
	}
	f := Look(ctx, h)
	p, err := newPlanner(ctx, h, f, path.Join(o.State, recordName))
	if err != nil {
		return Plan{}, err
	}
	u := &uninstaller{p, undo, map[string]bool{}}
	plan, err := u.walk(gateArtifacts(h, f, o), func() error { return u.purge(o.State, "secrets and counters of the second step") }, "sshnotify uninstall --system --gate --purge")
	if err == nil && slices.ContainsFunc(plan.Changes, func(c Change) bool { return c.Path == gateSSHD || strings.HasPrefix(c.Path, "/etc/pam.d/") }) {
		u.plan = plan
		u.reloadSSHD()
		plan = u.plan
	}
	return plan, err
}

// lockedOut returns who could not log in any more.
func (h Host) lockedOut(ctx context.Context, s SSHD, o GateOptions) error {
	out, err := h.askSSHD(ctx, s.program())
	if err != nil && h.live() {
		return &HostError{Reason: "sshd does not say how people log in: " + err.Error(), Do: "sudo sshd -t says what is wrong with its settings"}
	}
	// Once the second step is put in, keyboard-interactive asks for that.
	asksPassword := !GateInstalled(h)
	exempt := h.membersOf(ExemptGroup)
	var noKey, noStep []string
	for _, u := range h.users() {
		if !hasShell(u) && u.UID < firstPerson && !h.hasKeys(u, string(out)) {
			continue // a service's, of which there are many
		}
		set := h.settingsOf(ctx, s, u, string(out))
		if !hasShell(u) && sshdValue(set, "forcecommand") != "internal-sftp" {
			continue
		}
		hasKey := h.hasKeys(u, set)
		byPassword := h.hasPassword(u.Name) && (sshdValue(set, "passwordauthentication") == "yes" || asksPassword && sshdValue(set, "kbdinteractiveauthentication") == "yes")
		keyOnly := u.UID == 0 || slices.Contains(exempt, u.Name)
		switch {
		case !hasKey && byPassword && (u.UID != 0 || sshdValue(set, "permitrootlogin") == "yes"):
			noKey = append(noKey, u.Name)
		case !keyOnly && !o.Unenrolled && !o.Has(u.Name) && (hasKey || u.UID >= firstPerson && keysElsewhere(set)):
			noStep = append(noStep, u.Name)
		}
	}
	switch {
	case len(noKey) > 0:
		return &HostError{
			Reason: "without a key, and by password no more: " + strings.Join(noKey, ", ") + " could not log in",
			Do:     "give them a key first: ssh-copy-id " + noKey[0] + "@…",
		}
	case len(noStep) > 0:
		return &HostError{
			Reason: "without a second step " + strings.Join(noStep, ", ") + " could not log in",
			Do:     "sudo sshnotify gate enrol " + noStep[0] + "; for accounts of programs: sudo groupadd -f " + ExemptGroup + " && sudo gpasswd -a " + noStep[0] + " " + ExemptGroup,
		}
	}
	return nil
}

// firstPerson is the least number of an account that is a person's (login.defs(5),
// UID_MIN).
const firstPerson = 1000

// hasShell reports whether somebody who logs in gets a shell, which sftp alone does
// without.
func hasShell(u passwd.User) bool {
	return !slices.Contains([]string{"nologin", "false", "sync"}, path.Base(u.Shell))
}

func (h Host) users() (all []passwd.User) {
	passwd.Find(h.text("/etc/passwd"), func(u passwd.User) bool { all = append(all, u); return false })
	return all
}

// people are the accounts that somebody may log in to.
func (h Host) people() []passwd.User {
	return slices.DeleteFunc(h.users(), func(u passwd.User) bool { return !hasShell(u) || u.UID != 0 && u.UID < firstPerson })
}

// settingsOf returns what sshd's settings are for an account, Match blocks included, as
// seen from this machine; those for all where sshd does not say.
func (h Host) settingsOf(ctx context.Context, s SSHD, u passwd.User, all string) string {
	out, err := h.askSSHD(ctx, s.program(), "-C", "user="+u.Name+",host=localhost,addr=127.0.0.1")
	if err != nil || len(out) == 0 {
		return all
	}
	return string(out)
}

// keysElsewhere reports whether sshd takes keys that stand in no file of an account's:
// those that a program tells, and certificates.
func keysElsewhere(set string) bool {
	return slices.ContainsFunc([]string{"authorizedkeyscommand", "trustedusercakeys"}, func(key string) bool {
		value := sshdValue(set, key)
		return value != "" && value != "none"
	})
}

// hasKeys reports whether an account has a file of keys with something in it, where
// sshd's settings have it look.
func (h Host) hasKeys(u passwd.User, set string) bool {
	files := strings.Fields(sshdValue(set, "authorizedkeysfile"))
	if len(files) == 0 {
		files = []string{".ssh/authorized_keys"}
	}
	for _, f := range files {
		f = strings.NewReplacer("%u", u.Name, "%U", strconv.Itoa(u.UID), "%h", u.Home, "%%", "%").Replace(f)
		if !path.IsAbs(f) {
			f = path.Join(u.Home, f)
		}
		for line := range strings.Lines(h.text(f)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				return true
			}
		}
	}
	return false
}

// hasPassword reports whether an account has a password that opens it.
func (h Host) hasPassword(user string) bool {
	for line := range strings.Lines(h.text("/etc/shadow")) {
		f := strings.Split(line, ":")
		if len(f) > 1 && f[0] == user {
			return f[1] != "" && f[1][0] != '!' && f[1][0] != '*'
		}
	}
	return false
}

func (h Host) membersOf(group string) []string {
	for _, g := range h.groups() {
		if g.Name == group {
			return g.Members
		}
	}
	return nil
}

// GateTries reports whether somebody who got in by a PAM service as a user has shown
// that the second step lets people in: sudo, root and programs never come to it.
func GateTries(h Host, service, user string) bool {
	return service == "sshd" && user != "root" && !slices.Contains(h.membersOf(ExemptGroup), user)
}

// GateInstalled reports whether the second step is in any of PAM's stacks, or in
// sshd's settings.
func GateInstalled(h Host) bool {
	return h.exists(gateSSHD) || slices.ContainsFunc(h.pamNames(), func(name string) bool {
		return strings.Contains(h.text(path.Join("/etc/pam.d", name)), gateBegin)
	})
}

// The service of codes for other programs, which packages bring.
const (
	codesUnit     = "sshnotify-codes.service"
	codesSettings = "/etc/sshnotify/codes.toml"
)

// CodesCheck looks whether codes for other programs are served, where they have
// settings.
func CodesCheck(h Host) doctor.Check {
	return doctor.Check{Needs: doctor.NeedsHost, Run: func(ctx context.Context, r *doctor.Report) {
		if !h.exists(codesSettings) || !h.exists("/usr/lib/systemd/system/"+codesUnit) {
			return
		}
		if out, err := h.ask(ctx, "systemctl", "is-active", codesUnit); err != nil {
			state := cmp.Or(strings.TrimSpace(string(out)), err.Error())
			r.Fail("codes", "sudo systemctl enable --now sshnotify-codes; journalctl -u sshnotify-codes says why", "%s is there, and %s is %s", codesSettings, codesUnit, state)
			return
		}
		r.OK("codes", "%s", codesUnit)
	}}
}

// GateChecks returns the checks of the second step, where it is put in.
func GateChecks(h Host, o GateOptions) []doctor.Check {
	return []doctor.Check{{Needs: doctor.NeedsHost, Run: func(ctx context.Context, r *doctor.Report) {
		if !GateInstalled(h) {
			return
		}
		c := &checker{ctx: ctx, h: h, f: Look(ctx, h), Report: r}
		c.rec, _ = h.loadRecord(path.Join(o.State, recordName))
		c.checkAll(gateArtifacts(h, c.f, o))
		if err := h.lockedOut(ctx, c.f.SSHD, o); err != nil {
			hint := ""
			if he, ok := errors.AsType[*HostError](err); ok {
				hint = he.Do
			}
			c.Fail("gate users", hint, "%v", err)
		} else {
			c.OK("gate users", "everybody who may log in has a second step, or needs none")
		}
		if n := len(h.membersOf(ExemptGroup)); n > 0 {
			c.Warn("gate exempt", "getent group "+ExemptGroup, "%d accounts log in without a second step: those of the group %s", n, ExemptGroup)
		}
	}}}
}
