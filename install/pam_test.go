package install

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var testHook = Hook{Binary: DefaultBinary, Spool: DefaultSpool, Args: []string{"--no-worker"}}

const hookText = "pam_exec.so quiet /usr/bin/sshnotify hook --spool /var/spool/sshnotify --no-worker"

// Where the hook comes to stand, shown by its neighbours.
func TestHookPlaceOnDistributions(t *testing.T) {
	for _, c := range []struct{ host, file, above, line, below string }{
		{
			"debian12", "sshd", "session    required     pam_loginuid.so", "session    optional     " + hookText, "",
		},
		{
			"ubuntu2404", "sshd", "session    required     pam_loginuid.so", "session    optional     " + hookText, "",
		},
		{
			// Behind the comment's last line, the comment belongs to pam_env.
			"debian12", "su", "# auth       ", "", "",
		},
		{"debian12", "login", "session    required     pam_loginuid.so", "session    optional     " + hookText, ""},
		{"debian12", "sudo", "", "session    optional   " + hookText, "# Set up user limits from /etc/security/limits.conf."},
		{"ubuntu2404", "sudo", "", "session    optional   " + hookText, "# Set up user limits from /etc/security/limits.conf."},
		{
			"fedora42", "sshd", "session    required     pam_loginuid.so", "session    optional     " + hookText,
			"# pam_selinux.so open should only be followed by sessions to be executed in the user context",
		},
		{
			"rhel9", "sshd", "session    required     pam_loginuid.so", "session    optional     " + hookText,
			"# pam_selinux.so open should only be followed by sessions to be executed in the user context",
		},
		{"fedora42", "su", "password	include		system-auth", "session\t\toptional\t\t" + hookText, "session		include		system-auth"},
		{"fedora42", "sudo", "password   include      system-auth", "session    optional     " + hookText, "session    optional     pam_keyinit.so revoke"},
		{"arch", "sshd", "password  include   system-remote-login", "session   optional  " + hookText, "session   include   system-remote-login"},
		{"alpine", "sshd", "password  include   base-password", "session   optional  " + hookText, "session   include   base-session"},
	} {
		t.Run(c.host+" "+c.file, func(t *testing.T) {
			w := newWorld(t, fixture(t, c.host))
			old := w.content("/etc/pam.d/" + c.file)
			got, err := w.setHook([]byte(old), testHook)
			if err != nil {
				t.Fatal(err)
			}
			ls := strings.Split(string(got), "\n")
			at := -1
			for i, l := range ls {
				if strings.Contains(l, "sshnotify") {
					at = i
				}
			}
			if at < 0 {
				t.Fatalf("no hook in\n%s", got)
			}
			if c.line != "" {
				if diff := cmp.Diff([]string{c.above, c.line, c.below}, []string{ls[at-1], ls[at], ls[at+1]}); diff != "" {
					t.Errorf("the hook and its neighbours (-want +got):\n%s", diff)
				}
			}
			for _, l := range ls[:at] {
				for _, bad := range []string{"pam_env.so", "pam_systemd.so", "@include common-session", "pam_selinux.so open", "session    include"} {
					if strings.HasPrefix(l, "session") && strings.Contains(l, bad) || l == bad {
						t.Errorf("stands behind %q", l)
					}
				}
			}
			if twice := must(w.setHook(got, testHook))(t); string(twice) != string(got) {
				t.Errorf("twice is not once:\n%s", twice)
			}
			if back := must(cutHook(got))(t); string(back) != old {
				t.Errorf("taking it out does not give back the file (-want +got):\n%s", cmp.Diff(old, string(back)))
			}
		})
	}
}

func TestHookInOddFiles(t *testing.T) {
	const carrier = "session required pam_unix.so\n"
	for _, c := range []struct{ name, file, want string }{
		{"only one rule, without newline", "session required pam_unix.so", "session optional " + hookText + "\nsession required pam_unix.so"},
		{"behind a last line without newline", "session required pam_loginuid.so", "session required pam_loginuid.so\nsession optional " + hookText},
		{"the file's heading stays at the top", "# PAM for sshd\n" + carrier, "# PAM for sshd\nsession optional " + hookText + "\n" + carrier},
		{"a rule keeps its comment", "auth required pam_unix.so\n\n# unix\n# sessions\n" + carrier, "auth required pam_unix.so\n\nsession optional " + hookText + "\n# unix\n# sessions\n" + carrier},
		{
			"a continued rule", "session required \\\n  pam_loginuid.so\n" + carrier,
			"session required \\\n  pam_loginuid.so\nsession optional " + hookText + "\n" + carrier,
		},
		{"upper case", "SESSION REQUIRED pam_unix.so\n", "session optional " + hookText + "\nSESSION REQUIRED pam_unix.so\n"},
		{
			"before a jump", "session [success=1 default=ignore] pam_succeed_if.so uid = 0\n" + carrier + "session required pam_loginuid.so\n",
			"session optional " + hookText + "\nsession [success=1 default=ignore] pam_succeed_if.so uid = 0\n" + carrier + "session required pam_loginuid.so\n",
		},
		{
			"before a sufficient rule", "session sufficient pam_permit.so\n" + carrier,
			"session optional " + hookText + "\nsession sufficient pam_permit.so\n" + carrier,
		},
		{
			"an older line is brought up to date where it is", "session required pam_loginuid.so\nsession   optional\tpam_exec.so  quiet /opt/sshnotify hook\n",
			"session required pam_loginuid.so\nsession   optional\t" + hookText + "\n",
		},
		{
			"a line behind pam_env moves up", carrier + "session required pam_env.so\nsession optional " + hookText + "\n",
			"session optional " + hookText + "\n" + carrier + "session required pam_env.so\n",
		},
		{
			"two lines become one", "session optional " + hookText + "\n" + carrier + "session optional " + hookText + "\n",
			"session optional " + hookText + "\n" + carrier,
		},
		{
			"a required hook becomes an optional one", "session required " + hookText + "\n" + carrier,
			"session optional " + hookText + "\n" + carrier,
		},
		{
			"only the blanks differ", "session\toptional   " + hookText + "   # ours\n" + carrier,
			"session\toptional   " + hookText + "   # ours\n" + carrier,
		},
		{
			"somebody else's pam_exec stays", "session optional pam_exec.so /usr/local/bin/motd hook\n" + carrier,
			"session optional " + hookText + "\nsession optional pam_exec.so /usr/local/bin/motd hook\n" + carrier,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := newWorld(t, nil).setHook([]byte(c.file), testHook)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHookRefusedStacks(t *testing.T) {
	const carrier = "session required pam_unix.so\n"
	for _, c := range []struct {
		name, file, reason string
		row                int
		byHand             bool
	}{
		{"no session rule", "auth required pam_unix.so\n", "would decide whether a login is let in", 0, false},
		{"all optional", "session optional pam_motd.so\n", "would decide whether a login is let in", 0, false},
		{"only a module that may be missing", "-session required pam_x.so\n", "would decide", 0, false},
		{"only the hook", "session optional " + hookText + "\n", "would decide", 0, false},
		{"empty", "", "would decide", 0, false},
		{"pam_env before pam_selinux close", "session required pam_env.so\nsession required pam_selinux.so close\n", "pam_selinux.so close comes behind line 1", 2, true},
		{"users write the environment at login", "auth required pam_env.so user_readenv=1\n" + carrier, "user_readenv", 0, false},
		{"unknown type", "sesion required pam_unix.so\n", `unknown type "sesion"`, 1, true},
		{"unknown control", "session mandatory pam_unix.so\n", `unknown control "mandatory"`, 1, true},
		{"no module", carrier + "session required\n", "needs a type, a control and a module", 2, true},
		{"open bracket", "session [default=bad pam_unix.so\n", "an opening [", 1, true},
		{"Windows line endings", "session required pam_unix.so\r\n", "0x0d", 1, true},
		{"NUL", carrier + "\x00", "0x00", 2, true},
		{"a file that ends in a backslash", carrier + "session required \\\n", "ends inside of a rule", 2, true},
		{"a comment inside of a rule", "session required \\\n# unix\npam_unix.so\n", "a comment or an empty line inside", 2, true},
		{"includes what is not there", "@include common-session\n", `includes "common-session"`, 1, true},
		{"includes itself", "session include loop\n" + carrier, "without end", 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, map[string]string{"/etc/pam.d/loop": "session include loop\n"})
			got, err := w.setHook([]byte(c.file), testHook)
			var pe *PAMError
			if !errors.As(err, &pe) {
				t.Fatalf("accepted, as %q; error %v", got, err)
			}
			if !strings.Contains(pe.Reason, c.reason) || pe.Row != c.row || (pe.Line != "") != c.byHand {
				t.Errorf("got %+v", pe)
			}
			if c.byHand && pe.Line != "session optional "+hookText {
				t.Errorf("line to add by hand: %q", pe.Line)
			}
		})
	}
}

func TestHookLineQuotesItsWords(t *testing.T) {
	k := Hook{Binary: "/opt/my tools/sshnotify", Spool: "/srv/a]b [c]", Args: []string{"--services", "su,su-l"}}
	want := `session optional pam_exec.so quiet [/opt/my tools/sshnotify] hook --spool [/srv/a\]b [c\]] --services su,su-l`
	if got := k.Line(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r, reason := parseRule(k.Line())
	if reason != "" {
		t.Fatal(reason)
	}
	if diff := cmp.Diff(append([]string{"quiet"}, k.words()...), r.args); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	for _, bad := range []Hook{
		{Binary: "sshnotify", Spool: "/s"},
		{Binary: "/usr/bin/other", Spool: "/s"},
		{Binary: "/a#b/sshnotify", Spool: "/s"},
		{Binary: "/a\nb/sshnotify", Spool: "/s"},
		{Binary: "/a/sshnotify", Spool: `/s\`},
		{Binary: "/a/sshnotify", Spool: "/s", Args: []string{""}},
	} {
		if got, err := newWorld(t, nil).setHook([]byte("session required pam_unix.so\n"), bad); err == nil {
			t.Errorf("%+v: accepted as %q", bad, got)
		}
	}
}
