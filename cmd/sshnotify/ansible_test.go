package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The role in examples is sound, and the settings that it writes for each host
// of its inventory are right.
func TestExampleAnsibleRole(t *testing.T) {
	e2e(t)
	t.Parallel()
	playbook, err := exec.LookPath("ansible-playbook")
	if err != nil {
		lacking(t, "ansible-playbook")
	}
	dir, err := filepath.Abs(filepath.Join(examples, "ansible"))
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	ansible := func(args ...string) {
		t.Helper()
		c := exec.Command(playbook, append([]string{"-i", filepath.Join(dir, "inventory.ini")}, args...)...)
		c.Dir = dir
		c.Env = append(os.Environ(), "HOME="+out, "LC_ALL=C.UTF-8")
		if text, err := c.CombinedOutput(); err != nil {
			t.Fatalf("ansible-playbook %q: %v\n%s", args, err, text)
		}
	}
	ansible("--syntax-check", "site.yml")

	play := filepath.Join(out, "render.yml")
	text := `- hosts: all
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.template:
        src: "{{ role }}/templates/host.toml.j2"
        dest: "{{ out }}/{{ inventory_hostname }}.toml"
        mode: "0600"
        validate: "{{ program }} config check --config %s"
    - ansible.builtin.copy:
        src: "{{ role }}/files/config.toml"
        dest: "{{ out }}/config.toml"
        mode: "0600"
`
	if err := os.WriteFile(play, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ansible(play, "-e", "role="+filepath.Join(dir, "roles/sshnotify"), "-e", "out="+out, "-e", "program="+binary)
	for _, host := range []string{"db1.example.com", "web1.example.com"} {
		b, err := os.ReadFile(filepath.Join(out, host+".toml"))
		if err != nil {
			t.Fatal(err)
		}
		role := map[string]string{"db1.example.com": "db", "web1.example.com": "web"}[host]
		if want := "host = \"" + host + "\"\nlabels = {env = \"prod\", role = \"" + role + "\"}\n"; string(b) != want {
			t.Errorf("%s: %q, want %q", host, b, want)
		}
	}
}
