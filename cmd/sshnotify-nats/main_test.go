package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/sshnotify/sshnotify/cmd"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// asProgram has this test's program be another: sshnotify-nats, or sshnotify.
const asProgram = "SSHNOTIFY_TEST_PROGRAM"

func TestMain(m *testing.M) {
	switch os.Getenv(asProgram) {
	case "sshnotify-nats":
		main()
	case "sshnotify":
		os.Exit(cmd.Main(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// machine is one with settings, a spool and a state of its own.
type machine struct {
	t   *testing.T
	dir string
}

func newMachine(t *testing.T, settings string) machine {
	t.Helper()
	m := machine{t, t.TempDir()}
	for _, name := range []string{"spool", "state"} {
		if err := os.Mkdir(filepath.Join(m.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	settings = fmt.Sprintf("spool_dir = %q\nstate_dir = %q\nnotify = \"all\"\n", filepath.Join(m.dir, "spool"), filepath.Join(m.dir, "state")) + settings
	if err := os.WriteFile(filepath.Join(m.dir, "config.toml"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m machine) command(program string, args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], append(args, "--config", filepath.Join(m.dir, "config.toml"))...)
	c.Env = append(os.Environ(), asProgram+"="+program, "HOME="+m.dir)
	return c
}

// starts runs the worker until the test ends, or it is killed.
func (m machine) starts() *exec.Cmd {
	m.t.Helper()
	c := m.command("sshnotify-nats", "deliver", "--follow")
	c.Stderr = m.t.Output()
	if err := c.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { killed(c) })
	return c
}

func killed(c *exec.Cmd) {
	_ = c.Process.Kill()
	_ = c.Wait()
}

// alert writes an event into the machine's spool.
func (m machine) alert(text string) {
	m.t.Helper()
	if out, err := m.command("sshnotify-nats", "alert", "--severity", "high", text).CombinedOutput(); err != nil {
		m.t.Fatalf("%v\n%s", err, out)
	}
}

// What happens on a host is told by the hub, over NATS, whatever of the two is killed
// meanwhile.
func TestHostAndHub(t *testing.T) {
	url, seeds := startNATS(t, "web1")
	slack, err := standin.StartSlack(standin.SlackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(slack.Close)
	hub := newMachine(t, fmt.Sprintf("host = \"hub1\"\n[destination.slack]\nwebhook_url = %q\n[hub]\nnats = %q\ncredentials_file = %q\nreplicas = 1\n", slack.URL(), url, seeds["hub"]))
	web1 := newMachine(t, fmt.Sprintf("host = \"anything\"\n[hub]\nurl = %q\nname = \"web1\"\ncredentials_file = %q\n", url, seeds["web1"]))
	told := func(text string) {
		t.Helper()
		for end := time.Now().Add(40 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if slices.ContainsFunc(slack.Messages(), func(m standin.Message) bool {
				return bytes.Contains(m.Raw, []byte(text)) && bytes.Contains(m.Raw, []byte("web1"))
			}) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s is not told", text)
			}
		}
	}
	atHub, atHost := hub.starts(), web1.starts()
	web1.alert("the first backup failed")
	told("the first backup failed")

	killed(atHub)
	web1.alert("the second backup failed")
	hub.starts()
	told("the second backup failed")

	killed(atHost)
	web1.alert("the third backup failed")
	web1.starts()
	told("the third backup failed")
}

// The settings of NATS say to a program without it which one they need.
func TestWithoutNATS(t *testing.T) {
	for name, keys := range map[string]string{"a host": `url = "tls://nats1.example.com:4222"`, "the hub": `nats = "tls://nats1.example.com:4222"`} {
		_, seeds := startNATS(t)
		m := newMachine(t, fmt.Sprintf("[hub]\n%s\ncredentials_file = %q\n", keys, seeds["hub"]))
		for _, args := range [][]string{{"deliver", "--once"}, {"deliver", "--follow"}, {"config", "check"}} {
			out, err := m.command("sshnotify", args...).CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 78 || !strings.Contains(string(out), "needs the program sshnotify-nats") || !strings.Contains(string(out), "sshnotify: hint: install the package sshnotify-nats") {
				t.Errorf("%s: %s: %v\n%s", name, args, err, out)
			}
		}
		if out, err := m.command("sshnotify-nats", "config", "check").CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// startNATS runs a server that lets in the hub and hosts, each by the seed of an nkey.
func startNATS(t *testing.T, hosts ...string) (url string, seeds map[string]string) {
	t.Helper()
	dir := t.TempDir()
	seeds = map[string]string{}
	var users string
	for _, name := range append([]string{"hub"}, hosts...) {
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		seed, err := pair.Seed()
		if err != nil {
			t.Fatal(err)
		}
		public, err := pair.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		seeds[name] = filepath.Join(dir, name+".nk")
		if err := os.WriteFile(seeds[name], seed, 0o600); err != nil {
			t.Fatal(err)
		}
		rights := ""
		if name != "hub" {
			rights = fmt.Sprintf(`, permissions: { publish: ["ev.%[1]s.>", "beat.%[1]s"], subscribe: ["_INBOX_%[1]s.>"] }`, name)
		}
		users += "{ nkey: " + public + rights + " }\n"
	}
	file := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, "jetstream { store_dir: %q }\naccounts { SSHNOTIFY { jetstream: enabled, users: [ %s ] } }\n", filepath.Join(dir, "store"), users), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	o.Host, o.Port, o.NoLog, o.NoSigs = "127.0.0.1", -1, true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not come up")
	}
	return "nats://" + s.Addr().String(), seeds
}
