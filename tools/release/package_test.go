package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Nothing is asked of anybody that the owner did not name: the settings that
// come with a package say nothing, and what they offer is right.
func TestDefaultSettings(t *testing.T) {
	const name = "tools/release/package/config.toml"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line != "\n" && !strings.HasPrefix(line, "#") {
			t.Errorf("not a comment: %s", line)
		}
	}
	dir := t.TempDir()
	for _, secret := range []string{"slack.url", "abuseipdb.key"} {
		if err := os.WriteFile(filepath.Join(dir, secret), []byte("https://hooks.example.com/services/T0/B0/x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "blocklist.txt"), []byte("203.0.113.0/24\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A comment has a blank after #, a setting has none.
	offered := regexp.MustCompile(`(?m)^#([^ \n])`).ReplaceAllString(string(text), "$1")
	offered = strings.ReplaceAll(offered, "/etc/sshnotify/", dir+"/")
	if strings.Count(offered, "\n[") < 5 {
		t.Errorf("offers too little:\n%s", offered)
	}
	for file, text := range map[string]string{"as-packaged.toml": string(text), "all-of-it.toml": offered} {
		file = filepath.Join(dir, file)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := trial.ask(t.Context(), filepath.Join(made, "host", "sshnotify"), "config", "check", "--config", file); err != nil {
			t.Error(err)
		}
	}
}

func scripts(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("tools/release/package/*.sh")
	if err != nil || len(all) != 5 {
		t.Fatalf("%v %v", all, err)
	}
	return all
}

func TestPackageScripts(t *testing.T) {
	for _, name := range scripts(t) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		if !strings.HasPrefix(text, "#!/bin/sh\n") || !strings.Contains(text, "\nset -e\n") {
			t.Errorf("%s: not a script that stops at what fails", name)
		}
		code := regexp.MustCompile(`(?m)^\s*#.*$`).ReplaceAllString(text, "")
		// pacman makes a function of it.
		if regexp.MustCompile(`(?m)\b(exit|return)\b`).MatchString(code) {
			t.Errorf("%s: ends the shell that it is a function of", name)
		}
		if strings.Contains(code, "pam-auth-update --enable") || strings.Contains(code, "sshnotify install") && !strings.Contains(code, "hint: ") {
			t.Errorf("%s: puts the hook in, unasked", name)
		}
		// Its number would be another's, and with it what is left of its files.
		purge := regexp.MustCompile(`(?ms)^purge\)\n.*?^\t;;\n`)
		if left := purge.ReplaceAllString(code, ""); strings.Contains(left, "userdel") || strings.Contains(left, "deluser") {
			t.Errorf("%s: removes the user, whose number another would get", name)
		}
		if out, err := exec.Command("sh", "-n", name).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// Each package manager tells a script in its own way what goes on.
func TestScriptsKnowWhatGoesOn(t *testing.T) {
	for _, tt := range []struct {
		name, script, verdict string
		args                  []string
		want                  string
	}{
		{"deb, new", "postinstall", "fresh", []string{"configure", ""}, "yes"},
		{"deb, new, without an argument", "postinstall", "fresh", []string{"configure"}, "yes"},
		{"deb, upgrade", "postinstall", "fresh", []string{"configure", "0.1.0-1"}, "no"},
		{"deb, taken back", "postinstall", "fresh", []string{"abort-remove"}, "no"},
		{"rpm, new", "postinstall", "fresh", []string{"1"}, "yes"},
		{"rpm, upgrade", "postinstall", "fresh", []string{"2"}, "no"},
		{"apk, new", "postinstall", "fresh", []string{"0.1.0-r1"}, "yes"},
		{"apk, upgrade", "postinstall", "fresh", []string{"0.2.0-r1", "0.1.0-r1"}, "no"},
		{"Arch, new", "postinstall", "fresh", []string{"0.1.0-1"}, "yes"},
		{"Arch, upgrade", "postinstall", "fresh", []string{"0.2.0-1", "0.1.0-1"}, "no"},
		{"deb, remove", "preremove", "going", []string{"remove"}, "yes"},
		{"deb, upgrade", "preremove", "going", []string{"upgrade", "0.2.0-1"}, "no"},
		{"deb, deconfigured for another", "preremove", "going", []string{"deconfigure", "in-favour", "x"}, "no"},
		{"rpm, remove", "preremove", "going", []string{"0"}, "yes"},
		{"rpm, upgrade", "preremove", "going", []string{"1"}, "no"},
		{"apk, remove", "preremove", "going", []string{"0.1.0-r1"}, "yes"},
		{"Arch, remove", "preremove", "going", []string{"1.0.0-1"}, "yes"},
	} {
		t.Run(tt.script+", "+tt.name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile("tools/release/package/" + tt.script + ".sh")
			if err != nil {
				t.Fatal(err)
			}
			// Only the decision is run: the case that sets the variable.
			decision := regexp.MustCompile(`(?ms)^case "\$1[^\n]*\n(?:[^\n]*` + tt.verdict + `=[^\n]*\n)+esac$`).Find(text)
			if decision == nil {
				t.Fatal("no such decision")
			}
			args := append([]string{"-c", string(decision) + "\necho $" + tt.verdict, "sh"}, tt.args...)
			out, err := exec.Command("sh", args...).CombinedOutput()
			if got := strings.TrimSpace(string(out)); err != nil || got != tt.want {
				t.Errorf("%s is %q, not %q (%v)", tt.verdict, got, tt.want, err)
			}
		})
	}
}

// Where sshnotify uninstall could not, the package takes the hook's lines out of
// pam.d: whole, for PAM lets nobody in by a file with half a rule.
func TestThePackageTakesOutWholeRules(t *testing.T) {
	text, err := os.ReadFile("tools/release/package/preremove.sh")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^\s*(sed -i (?:.*\\\n)*.*) "\$file" \|\| :$`).FindSubmatch(text)
	if command == nil {
		t.Fatal("no such command")
	}
	const others = "# a comment \\\nauth required pam_unix.so\nsession required pam_limits.so \\\n  conf=/etc/x\nsession required pam_unix.so\n"
	for _, hook := range []string{
		"session optional pam_exec.so quiet /usr/bin/sshnotify hook --no-worker\n",
		"session optional pam_exec.so quiet /usr/bin/sshnotify hook \\\n  --no-worker\n",
		"session optional pam_exec.so quiet \\\n /usr/bin/sshnotify hook \\\n  --no-worker\n",
		"session optional pam_exec.so quiet /usr/libexec/sshnotify/hook \\\n  --no-worker\n",
	} {
		for _, whole := range []string{others + hook, hook + others} {
			file := filepath.Join(t.TempDir(), "sshd")
			if err := os.WriteFile(file, []byte(whole), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("sh", "-c", string(command[1])+` "$1"`, "sh", file).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if left, err := os.ReadFile(file); err != nil || string(left) != others {
				t.Errorf("of\n%s\nis left, %v:\n%s", whole, err, left)
			}
		}
	}
}
