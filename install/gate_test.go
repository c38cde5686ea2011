package install

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

func TestGateStackGoesInAndOut(t *testing.T) {
	for name, text := range map[string]string{
		"Debian":        "# PAM configuration\n@include common-auth\naccount required pam_nologin.so\n@include common-session\n",
		"Red Hat":       "#%PAM-1.0\nauth       substack     password-auth\nauth       include      postlogin\naccount    required     pam_nologin.so\n",
		"Arch":          "auth      include   system-remote-login\naccount   include   system-remote-login\n",
		"Alpine":        "auth include base-auth\naccount include base-account\n",
		"no newline":    "@include common-auth",
		"a comment":     "@include common-auth # as ever\n",
		"with our hook": "session optional pam_exec.so quiet /usr/bin/sshnotify hook\n@include common-auth\n",
	} {
		in, err := setGate([]byte(text), gateLines("/usr/bin/sshnotify", ""))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := string(in); strings.Count(got, "pam_exec.so quiet") < 3 || passwordStack().MatchString(got) {
			t.Errorf("%s: %s", name, got)
		}
		again, err := setGate(in, gateLines("/usr/bin/sshnotify", ""))
		if err != nil || string(again) != string(in) {
			t.Errorf("%s: the second time: %v\n%s", name, err, again)
		}
		if out, err := cutGate(in); err != nil || string(out) != text {
			t.Errorf("%s: taken out: %v\n%s", name, err, out)
		}
	}
}

// The package's small program says who is known, where root may run it.
func TestGateSmallProgram(t *testing.T) {
	w := newWorld(t, map[string]string{"usr/bin/sshnotify": "", "etc/pam.d/sshd": "@include common-auth\n"})
	lines := func() string { return gateLines("/usr/bin/sshnotify", w.small("/usr/bin/sshnotify", gateSuffix)) }
	if got := lines(); strings.Count(got, "/usr/bin/sshnotify gate ") != 3 {
		t.Errorf("without it:\n%s", got)
	}
	const small = "/usr/libexec/sshnotify/gate"
	w.write(small, "program")
	if err := os.Chmod(filepath.Join(w.Root, small), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := lines(); !strings.Contains(got, "quiet "+small+" known\n") || strings.Count(got, "/usr/bin/sshnotify gate ") != 2 {
		t.Errorf("with it:\n%s", got)
	}
	if err := os.Chmod(filepath.Join(w.Root, small), 0o777); err != nil {
		t.Fatal(err)
	}
	if got := lines(); strings.Contains(got, small) {
		t.Errorf("others may write in it:\n%s", got)
	}
}

func TestGateStackThatIsNotUnderstood(t *testing.T) {
	for name, text := range map[string]string{
		"no password's stack": "auth required pam_radius_auth.so\n",
		"two":                 "@include common-auth\nauth include system-auth\n",
		"another's":           "auth include system-local-login\n",
	} {
		if out, err := setGate([]byte(text), gateLines("/usr/bin/sshnotify", "")); err == nil {
			t.Errorf("%s: %s", name, out)
		}
	}
	for name, text := range map[string]string{
		"no end":      gateBegin + "\n" + gateWas + "@include common-auth\n",
		"no begin":    gateEnd + "\n",
		"nothing was": gateBegin + "\n" + gateEnd + "\n",
		"twice":       strings.Repeat(gateBegin+"\n"+gateWas+"x\n"+gateEnd+"\n", 2),
	} {
		if out, err := cutGate([]byte(text)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
}

func TestGateLocksNobodyOut(t *testing.T) {
	const (
		settings = "usepam yes\npasswordauthentication yes\npermitrootlogin without-password\nauthorizedkeysfile .ssh/authorized_keys\n"
		alice    = "alice:x:1000:1000::/home/alice:/bin/bash\n"
		root     = "root:x:0:0::/root:/bin/bash\n"
		asksPAM  = "usepam yes\npasswordauthentication no\nkbdinteractiveauthentication yes\n"
	)
	for _, r := range []struct {
		name, passwd, shadow, group string
		keys                        []string
		steps                       string
		sshd                        string
		want                        string // in the reason; empty: nobody is locked out
	}{
		{"alice has a key and a step", root + alice, "", "", []string{"alice"}, "alice", settings, ""},
		{"alice has no step", root + alice, "", "", []string{"alice"}, "", settings, "without a second step alice"},
		{"alice is exempt", root + alice, "", ExemptGroup + ":x:900:alice\n", []string{"alice"}, "", settings, ""},
		{"alice comes by password", root + alice, "alice:$6$x:1::::::\n", "", nil, "alice", settings, "without a key"},
		{"alice's password is locked", root + alice, "alice:!$6$x:1::::::\n", "", nil, "", settings, ""},
		{"passwords are off already", root + alice, "alice:$6$x:1::::::\n", "", nil, "", strings.Replace(settings, "passwordauthentication yes", "passwordauthentication no", 1), ""},
		{"root comes by password", root, "root:$6$x:1::::::\n", "", nil, "", strings.Replace(settings, "permitrootlogin without-password", "permitrootlogin yes", 1), "root"},
		{"root's password is no way in", root, "root:$6$x:1::::::\n", "", nil, "", settings, ""},
		{"root comes by a password that PAM asks for", root, "root:$6$x:1::::::\n", "", nil, "", asksPAM + "permitrootlogin yes\n", "root"},
		{"alice comes by a password that PAM asks for", root + alice, "alice:$6$x:1::::::\n", "", nil, "alice", asksPAM, "without a key"},
		{"alice is exempt, and comes by password", root + alice, "alice:$6$x:1::::::\n", ExemptGroup + ":x:900:alice\n", nil, "", settings, "without a key"},
		{"alice's keys are told by a program", root + alice, "", "", nil, "", settings + "authorizedkeyscommand /usr/bin/keys\n", "without a second step alice"},
		{"alice's keys are certificates", root + alice, "", "", nil, "", settings + "trustedusercakeys /etc/ssh/ca.pub\n", "without a second step alice"},
		{"neither", root + alice, "", "", nil, "", settings + "authorizedkeyscommand none\ntrustedusercakeys none\n", ""},
		{"a program's account has a low number", "git:x:110:110::/home/git:/usr/bin/git-shell\n", "", "", []string{"git"}, "", settings, "without a second step git"},
		{"a service's account has no keys", "www:x:33:33::/home/www:/usr/sbin/nologin\nold:x:34:34::/home/old:/bin/sh\n", "", "", nil, "", settings, ""},
		{"nobody gets a shell of a service's account", "www:x:33:33::/home/www:/usr/sbin/nologin\n", "", "", []string{"www"}, "", settings, ""},
		{"but files of it", "files:x:33:33::/home/files:/usr/sbin/nologin\n", "", "", []string{"files"}, "", settings + "forcecommand internal-sftp\n", "without a second step files"},
	} {
		w := newWorld(t, map[string]string{"etc/passwd": r.passwd, "etc/shadow": r.shadow, "etc/group": r.group})
		for _, user := range r.keys {
			w.write("home/"+user+"/.ssh/authorized_keys", "# mine\nssh-ed25519 AAAA\n")
		}
		w.answers["/usr/sbin/sshd -T"] = r.sshd
		err := w.lockedOut(t.Context(), SSHD{From: "/usr/sbin/sshd -T"}, GateOptions{Has: func(user string) bool { return user == r.steps }})
		if r.want == "" && err != nil || r.want != "" && (err == nil || !strings.Contains(err.Error(), r.want)) {
			t.Errorf("%s: %v", r.name, err)
		}
	}
}

// A Match block may have one account log in otherwise than all.
func TestGateLocksNobodyOutOfAMatchBlock(t *testing.T) {
	w := newWorld(t, map[string]string{
		"etc/passwd": "alice:x:1000:1000::/home/alice:/bin/bash\nbob:x:1001:1001::/home/bob:/bin/bash\n",
		"etc/shadow": "alice:$6$x:1::::::\nbob:$6$x:1::::::\n",
	})
	w.answers["/usr/sbin/sshd -T"] = "usepam yes\npasswordauthentication no\n"
	w.answers["/usr/sbin/sshd -T -C user=bob,host=localhost,addr=127.0.0.1"] = "usepam yes\npasswordauthentication yes\n"
	err := w.lockedOut(t.Context(), SSHD{From: "/usr/sbin/sshd -T"}, GateOptions{Has: func(string) bool { return true }})
	if err == nil || !strings.Contains(err.Error(), "no more: bob could not") {
		t.Errorf("%v", err)
	}
}

// sshd takes a Match block's word before that of what is put in for all.
func TestGateSeesWhoIsNotAsked(t *testing.T) {
	w := newWorld(t, map[string]string{
		"etc/passwd": "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\ndeploy:x:1002:1002::/home/deploy:/bin/sh\n",
		"etc/group":  ExemptGroup + ":x:900:deploy\n",
	})
	for user, methods := range map[string]string{"root": "publickey", "alice": methodsOfGate, "bob": "publickey", "deploy": "publickey"} {
		w.answers["/usr/sbin/sshd -T -C user="+user+",host=localhost,addr=127.0.0.1"] = "authenticationmethods " + methods + "\n"
	}
	var report doctor.Report
	c := &checker{ctx: t.Context(), h: w.Host, Report: &report}
	c.checkPeople()
	if len(report.Results) != 1 || report.Results[0].State != doctor.Warn || !strings.HasSuffix(report.Results[0].Message, ": bob") {
		t.Errorf("%+v", report.Results)
	}
}

// A robot that logs in each minute without a second step does not show that people
// still can.
func TestGateTries(t *testing.T) {
	w := newWorld(t, map[string]string{"etc/group": ExemptGroup + ":x:900:deploy\n"})
	for _, r := range []struct {
		service, user string
		want          bool
	}{
		{"sshd", "alice", true}, {"sshd", "root", false}, {"sshd", "deploy", false}, {"sudo", "alice", false},
	} {
		if got := GateTries(w.Host, r.service, r.user); got != r.want {
			t.Errorf("%s by %s: %v", r.user, r.service, got)
		}
	}
}

func TestCodesCheck(t *testing.T) {
	unit := map[string]string{"usr/lib/systemd/system/" + codesUnit: "[Service]\n"}
	set := map[string]string{"usr/lib/systemd/system/" + codesUnit: "[Service]\n", codesSettings[1:]: "[gate.http]\n"}
	for _, r := range []struct {
		name   string
		files  map[string]string
		active string
		want   string
	}{
		{"nobody wants it", unit, "", ""},
		{"settings, and it does not run", set, "", string(doctor.Fail)},
		{"it runs", set, "active\n", string(doctor.OK)},
	} {
		w := newWorld(t, r.files)
		if r.active != "" {
			w.answers["systemctl is-active "+codesUnit] = r.active
		}
		var report doctor.Report
		CodesCheck(w.Host).Run(t.Context(), &report)
		got := ""
		for _, f := range report.Results {
			got += string(f.State)
		}
		if got != r.want {
			t.Errorf("%s: %s, want %s", r.name, got, r.want)
		}
	}
}

func TestGateChecks(t *testing.T) {
	const (
		server = "authenticationmethods publickey,keyboard-interactive:pam\nkbdinteractiveauthentication yes\n"
		root   = "authenticationmethods publickey\nkbdinteractiveauthentication yes\n"
		stack  = "@include common-auth\naccount required pam_nologin.so\n"
	)
	set, err := setGate([]byte(stack), gateLines("/usr/bin/sshnotify", ""))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(set), "\n")
	swapped := strings.Join(lines[:3], "") + lines[4] + lines[3] + strings.Join(lines[5:], "")
	for _, r := range []struct {
		name, pam, server, root, group string
		has                            bool
		want                           map[string]doctor.State
	}{
		{"it is as it was put in", string(set), server, root, "", true, nil},
		{"verify before ask", swapped, server, root, "", true, map[string]doctor.State{"gate stack": doctor.Fail}},
		{"PAM's lines are gone", stack, server, root, "", true, map[string]doctor.State{"gate stack": doctor.Fail}},
		{"sshd asks for the key alone", string(set), root, root, "", true, map[string]doctor.State{"gate sshd": doctor.Fail}},
		{"root is asked, too", string(set), server, server, "", true, map[string]doctor.State{"gate sshd": doctor.Warn}},
		{"alice has no second step", string(set), server, root, "", false, map[string]doctor.State{"gate users": doctor.Fail}},
		{"alice is exempt", string(set), server, root, ExemptGroup + ":x:900:alice\n", false, map[string]doctor.State{"gate exempt": doctor.Warn}},
	} {
		w := newWorld(t, map[string]string{
			"etc/passwd": "alice:x:1000:1000::/home/alice:/bin/bash\n", "etc/group": r.group, "usr/bin/sshnotify": "",
			"etc/pam.d/sshd": r.pam, gateSSHD[1:]: sshdOfGate, "home/alice/.ssh/authorized_keys": "ssh-ed25519 AAAA\n",
		})
		w.answers["/usr/sbin/sshd -T"] = "usepam yes\nauthorizedkeysfile .ssh/authorized_keys\n"
		w.answers["/usr/sbin/sshd -T -C user=nobody,host=localhost,addr=127.0.0.1"] = r.server
		w.answers["/usr/sbin/sshd -T -C user=root,host=localhost,addr=127.0.0.1"] = r.root
		o := GateOptions{Binary: "/usr/bin/sshnotify", State: GateState, Has: func(string) bool { return r.has }}
		var report doctor.Report
		for _, c := range GateChecks(w.Host, o) {
			c.Run(t.Context(), &report)
		}
		worst := map[string]doctor.State{}
		for _, f := range report.Results {
			if strings.HasPrefix(f.Name, "gate ") && f.State != doctor.OK {
				worst[f.Name] = f.State
			}
		}
		if len(worst) != len(r.want) {
			t.Errorf("%s: %+v", r.name, report.Results)
		}
		for name, state := range r.want {
			if worst[name] != state {
				t.Errorf("%s: %s is %q, want %q", r.name, name, worst[name], state)
			}
		}
	}
}
