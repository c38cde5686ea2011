package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The Ansible role of examples sets a real host up. The second time it changes
// nothing.
func TestAnsibleHost(t *testing.T) {
	g := newGuest(t)
	if _, err := os.Stat(filepath.Join(g.dir, "usr/bin/python3")); err != nil {
		t.Skip("the guest has no Python")
	}
	if _, err := exec.LookPath("ansible-playbook"); err != nil {
		t.Skip("there is no ansible-playbook")
	}
	deb := g.put()
	dir := t.TempDir()
	// In the place of ssh, so that Ansible's own logins are not among those told.
	enter := filepath.Join(dir, "enter")
	script := fmt.Sprintf("#!/bin/bash\nexec nsenter --target %d --all -- /bin/sh -c \"cd; ${*: -1}\"\n", g.init)
	if err := os.WriteFile(enter, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	vault := filepath.Join(dir, "vault.yml")
	if err := os.WriteFile(vault, []byte("sshnotify_slack_url: "+g.reachSlack()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	play := func() string {
		t.Helper()
		c := exec.Command("ansible-playbook", "-i", "inventory.ini", "--limit", "db1.example.com", "site.yml",
			"-e", "@"+vault, "-e", "sshnotify_deb="+deb, "-e", "ansible_become=false", "-e", "ansible_ssh_executable="+enter,
			"-e", "ansible_ssh_transfer_method=piped", "-e", "ansible_python_interpreter=/usr/bin/python3")
		c.Dir = "examples/ansible"
		c.Env = append(os.Environ(), "HOME="+dir, "LC_ALL=C.UTF-8", "ANSIBLE_SSH_RETRIES=0")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	t.Logf("%s", play())
	if failed := g.doctor(); len(failed) > 0 {
		t.Errorf("doctor: %s", strings.Join(failed, "\n"))
	}
	g.login()
	if m := g.told(1); !strings.Contains(m, "alice → db1 (prod, db)") {
		t.Errorf("the login's message: %s", m)
	}
	if out := play(); !strings.Contains(out, "changed=0 ") {
		t.Errorf("the second time changes something:\n%s", out)
	}
}
