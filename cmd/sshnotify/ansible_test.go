package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// A host of the role joins the hub with a token that was made there, which nobody
// sees; the hub itself is one.
func TestExampleAnsibleRoleJoins(t *testing.T) {
	e2e(t)
	t.Parallel()
	playbook, err := exec.LookPath("ansible-playbook")
	if err != nil {
		lacking(t, "ansible-playbook")
	}
	roles, err := filepath.Abs(filepath.Join(examples, "ansible/roles"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		// In the place of sshnotify: it says how it was called, and with what.
		"bin/sshnotify": `#!/bin/sh
echo "$*" >>` + dir + `/calls
case $1 in
fleet) echo sshn1.MadeUpSecret; echo use it >&2 ;;
*) cat >>` + dir + `/calls; echo '{"changed":[],"joined":"web1"}' ;;
esac
`,
		"inventory.ini": "[ssh_servers]\nweb1.example.com sshnotify_labels='{\"env\": \"prod\"}'\n[sshnotify_hub]\nhub.example.com sshnotify_hub_listen=0.0.0.0:8443\n[all:vars]\nansible_connection=local\n",
		"play.yml": `- hosts: all
  gather_facts: false
  environment: {PATH: "` + dir + `/bin:{{ lookup('env', 'PATH') }}"}
  tasks:
    - ansible.builtin.include_role: {name: sshnotify, tasks_from: token.yml}
      when: inventory_hostname in groups['ssh_servers']
    - ansible.builtin.include_role: {name: sshnotify, tasks_from: install.yml}
`,
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(playbook, "-vvv", "--forks", "1", "-i", "inventory.ini", "play.yml")
	c.Dir = dir
	c.Env = append(os.Environ(), "HOME="+dir, "LC_ALL=C.UTF-8", "ANSIBLE_ROLES_PATH="+roles)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "MadeUpSecret") {
		t.Errorf("the token is shown:\n%s", out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"fleet token --for 10m --name web1 --label=env=prod\n",
		"install --system --yes --json --services sshd --hub https://hub.example.com:8443 --token-file -\nsshn1.MadeUpSecret\n",
		"install --system --yes --json --services sshd --hub-listen 0.0.0.0:8443 --hub-name hub.example.com\n",
	} {
		if strings.Count(string(b), want) != 1 {
			t.Errorf("%q is missing in\n%s", want, b)
		}
	}
}
