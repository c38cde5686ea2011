package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// A host joins a hub at the other end of its wire with one command, which may stand in
// a script: a second time it changes nothing, also without the token. The hub tells the
// host's logins.
func TestHandsOverHost(t *testing.T) {
	g := newGuest(t)
	g.run("dpkg", "--install", g.put())

	free, err := net.Listen("tcp", g.hostEnd+":0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	dir := t.TempDir()
	settings, program := filepath.Join(dir, "config.toml"), filepath.Join(g.dir, "usr/bin/sshnotify")
	if err := os.WriteFile(settings, fmt.Appendf(nil, "host = \"hub\"\nnotify = \"all\"\nstate_dir = %q\nspool_dir = %q\n[group]\nwindow = \"0s\"\n[hub]\nlisten = %q\nnames = [%q]\n[destination.slack]\nwebhook_url = %q\n",
		filepath.Join(dir, "state"), filepath.Join(dir, "spool"), address, g.hostEnd, g.slack.URL()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	hub := exec.Command(program, "hub", "--config", settings)
	var said bytes.Buffer
	hub.Stdout, hub.Stderr = &said, &said
	hub.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + dir}
	if err := hub.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		hub.Process.Signal(unix.SIGTERM)
		hub.Wait()
		if t.Failed() {
			t.Logf("the hub:\n%s", said.String())
		}
	})
	at := func(words ...string) (string, error) {
		c := exec.Command(program, append(words, "--config", settings)...)
		c.Env = hub.Env
		out, err := c.Output()
		return string(out), err
	}
	g.eventually("hub", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	token, err := at("fleet", "token", "--name", "db1", "--label", "env=prod")
	if err != nil {
		t.Fatal(err)
	}
	g.write("root/token", token, 0o600)

	join := []string{"sshnotify", "install", "--system", "--yes", "--hub", "https://" + address, "--token-file", "/root/token"}
	if out := g.run(join...); !strings.Contains(out, "joined https://"+address+" as db1") {
		t.Errorf("the host joins:\n%s", out)
	}
	if err := os.Remove(filepath.Join(g.dir, "root/token")); err != nil {
		t.Fatal(err)
	}
	set := g.etc()
	if out := g.run(join...); !strings.Contains(out, "this host has joined a hub already") {
		t.Errorf("the second time:\n%s", out)
	}
	if diff := cmp.Diff(set, g.etc()); diff != "" {
		t.Errorf("the second time changes something:\n%s", diff)
	}
	if failed := g.doctor(); len(failed) > 0 {
		t.Errorf("doctor: %s", strings.Join(failed, "\n"))
	}
	if out, err := g.try("sshnotify", "test"); err != nil || !strings.Contains(out, "the hub: ok ") {
		t.Errorf("sshnotify test: %v\n%s", err, out)
	}
	g.login()
	if m := g.told(1); !strings.Contains(m, "alice → db1 (prod)") || !strings.Contains(m, g.hostEnd) {
		t.Errorf("the login's message: %s", m)
	}
	g.eventually("host that the hub has heard of", func() bool {
		out, err := at("fleet", "status")
		return err == nil && strings.Contains(out, "\ndb1 ") && strings.Contains(out, "1 host\n")
	})
}
