package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/ssh"

	secondstep "github.com/sshnotify/sshnotify/internal/gate"
)

// inNoGuest are the commands of the documentation that no guest can run, and who does.
// Each begins a line of a page.
var inNoGuest = [][2]string{
	{"go test ./...", "that is this gate"},
	{"git clone ", "what is cloned is this folder"},
	{"make image ", "TestImage"},
	{"docker load ", "TestImage has buildah run the image: a guest has no Docker"},
	{"docker compose exec hub ", "TestImage runs the same words in the image"},
	{"kubectl exec ", "TestImage runs the same words in the image"},
	{"sshnotify confirm ", "TestNightHost: it needs Slack's socket, and a code that Slack shows"},
}

// command is a line of shell in the documentation.
type command struct {
	place string // page:line
	text  string // as it stands there, comment and all
	shows []string
	done  bool
}

var (
	promptOf      = regexp.MustCompile(`^(?:alice@db1:~)?\$ `)
	commentOf     = regexp.MustCompile(`\s+# .*$`)
	dateOf        = regexp.MustCompile(`\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b`)
	alternativeOf = regexp.MustCompile(`\s# or: ((?:sudo )?sshnotify .*)$`)
)

// bare is the command without what is said of it.
func (c *command) bare() string { return commentOf.ReplaceAllString(c.text, "") }

// pages are the documentation's.
func pages(t *testing.T) (all []string) {
	t.Helper()
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, names...)
	}
	return all
}

// commandsOf are those of a page: each line of its ```sh blocks that is no comment, what
// such a comment has after "or:", and what follows a prompt in ```console.
func commandsOf(t *testing.T, page string) (all []*command) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	kind := ""
	for i, line := range strings.Split(string(text), "\n") {
		place, line := fmt.Sprintf("%s:%d", page, i+1), strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "```"); ok {
			if kind != "" {
				kind = ""
			} else if kind = rest; kind == "" {
				kind = "text"
			}
			if kind == "bash" || kind == "shell" {
				t.Errorf("%s: %s: the pages call it sh, or console where an answer stands with it", place, kind)
			}
			continue
		}
		switch prompt := promptOf.FindString(line); {
		case kind == "sh" && line != "" && line[0] != '#', kind == "console" && prompt != "":
			all = append(all, &command{place: place, text: strings.TrimPrefix(line, prompt)})
			if m := alternativeOf.FindStringSubmatch(line); m != nil {
				all = append(all, &command{place: place, text: m[1]})
			}
		case kind == "console" && (len(all) == 0 || !strings.HasPrefix(all[len(all)-1].place, page)):
			t.Errorf("%s: an answer without a command", place)
		case kind == "console" && line != "":
			all[len(all)-1].shows = append(all[len(all)-1].shows, line)
		}
	}
	return all
}

// newcomer follows the documentation. Values of the pages that are others here are in
// here, in pairs: as strings.NewReplacer takes them.
type newcomer struct {
	t        *testing.T
	commands []*command
	here     []string
}

// way is how a command is to be followed.
type way struct {
	at      func(line string) (string, error) // where; see guest.alice
	in      string                            // the folder, below the home
	stdin   string
	answers []answer // on a terminal; see converse
	fails   bool     // the page says so
	again   bool     // it may take until it says what the page shows
}

// follow runs the first command of a page that begins so and has not been run, or the
// first at all; with $ at its end, begins is all of it. It compares what the command says
// with what the page shows.
func (n *newcomer) follow(g *guest, page, begins string, w way) string {
	n.t.Helper()
	var found *command
	whole, isWhole := strings.CutSuffix(begins, "$")
	for _, c := range n.commands {
		if strings.HasPrefix(c.place, page+":") && (isWhole && c.bare() == whole || !isWhole && strings.HasPrefix(c.text, begins)) && (found == nil || found.done && !c.done) {
			found = c
		}
	}
	if found == nil {
		n.t.Fatalf("%s has no command %q", page, begins)
	}
	return n.run(g, found, w)
}

func (n *newcomer) run(g *guest, c *command, w way) (out string) {
	n.t.Helper()
	here := strings.NewReplacer(n.here...)
	line := here.Replace(c.text)
	if w.in != "" {
		line = "cd " + w.in + " && " + line
	}
	begin := time.Now()
	missing := ""
	try := func() bool {
		var err error
		switch {
		case w.at != nil:
			out, err = w.at(line)
		case w.answers != nil:
			out, err = g.converse(line, w.answers...)
		default:
			out, err = g.types(line, w.stdin)
		}
		if missing = unshown(c, here, out); (err != nil) != w.fails {
			missing = fmt.Sprintf("it ends with %v", err)
		}
		return missing == ""
	}
	if w.again {
		for end := begin.Add(2 * time.Minute); !try() && time.Now().Before(end); time.Sleep(time.Second) {
		}
	} else {
		try()
	}
	n.t.Logf("%s: %s (%v)\n%s", c.place, line, time.Since(begin).Round(time.Millisecond), out)
	if missing != "" {
		n.t.Errorf("%s: %s: %s", c.place, c.text, missing)
	}
	c.done = true
	for _, same := range n.commands { // the same words on another page are the same command
		if same.bare() == c.bare() && same.shows == nil {
			same.done = true
		}
	}
	return out
}

// unshown says which line that the page shows is not in what was said. What the page
// leaves out (…), and figures, may be anything.
func unshown(c *command, here *strings.Replacer, said string) string {
	for _, line := range c.shows {
		pattern := regexp.QuoteMeta(here.Replace(line))
		pattern = strings.ReplaceAll(pattern, "…", ".*")
		pattern = dateOf.ReplaceAllString(pattern, `\w\w\w`)
		pattern = regexp.MustCompile(`\d+`).ReplaceAllString(pattern, `\d+`)
		pattern = regexp.MustCompile(` +`).ReplaceAllString(pattern, ` +`)
		if !regexp.MustCompile(pattern).MatchString(said) {
			return fmt.Sprintf("the page shows %q, and it says\n%s", line, said)
		}
	}
	return ""
}

// rest fails for each command that nobody followed, but those of inNoGuest.
func (n *newcomer) rest() {
	n.t.Helper()
	used := map[string]bool{}
	for _, c := range n.commands {
		for _, e := range inNoGuest {
			if strings.HasPrefix(c.text, e[0]) {
				used[e[0]], c.done = true, true
			}
		}
		if !c.done {
			n.t.Errorf("%s: nobody has run this: %s", c.place, c.text)
		}
	}
	for _, e := range inNoGuest {
		if !used[e[0]] {
			n.t.Errorf("no page has %q any more", e[0])
		}
	}
}

// types has alice, who has logged in long ago, type a line.
func (g *guest) types(line, stdin string) (string, error) {
	if stdin != "" {
		g.write("home/alice/.stdin", stdin, 0o644)
		line = "{ " + line + "\n} <~/.stdin"
	}
	return g.try("setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "--reset-env", "bash", "-lc", "cd; "+line)
}

// answer is what is typed at a question: text, or what follows from all that was said.
type answer struct {
	question, text string
	by             func(said string) string
}

// converse has alice log in, and run a line on her terminal that asks.
func (g *guest) converse(line string, answers ...answer) (string, error) {
	g.t.Helper()
	key := g.signer()
	c, err := ssh.Dial("tcp", g.guestEnd+":22", &ssh.ClientConfig{User: "alice", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 30 * time.Second})
	if err != nil {
		g.t.Fatal(err)
	}
	defer c.Close()
	s, err := c.NewSession()
	if err != nil {
		g.t.Fatal(err)
	}
	defer s.Close()
	if err := s.RequestPty("xterm", 24, 200, nil); err != nil {
		g.t.Fatal(err)
	}
	in, err := s.StdinPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	var said screen
	s.Stdout, s.Stderr = &said, &said
	if err := s.Start(line); err != nil {
		g.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Wait() }()
	seen := 0
	for _, a := range answers {
		for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			if at := strings.Index(said.String()[seen:], a.question); at >= 0 {
				seen += at + len(a.question)
				break
			}
			if time.Now().After(end) || len(ended) > 0 && !strings.Contains(said.String()[seen:], a.question) {
				g.t.Fatalf("%s does not ask: %s\n%s", line, a.question, said.String())
			}
		}
		if a.by != nil {
			a.text = a.by(said.String())
		}
		if a.text != "" {
			if _, err := in.Write([]byte(a.text)); err != nil {
				g.t.Fatal(err)
			}
		}
	}
	err = <-ended
	return said.String(), err
}

// Each command of the README and the documentation does what the page says, in the hands
// of somebody who types what stands there: alice, in her account without root, and with
// sudo on a host.
func TestDocumentationHost(t *testing.T) {
	if os.Getenv("SSHNOTIFY_GUEST") == "" {
		t.Skip("SSHNOTIFY_GUEST names no debootstrapped folder")
	}
	n := &newcomer{t: t}
	for _, page := range pages(t) {
		n.commands = append(n.commands, commandsOf(t, page)...)
	}
	if len(n.commands) < 60 {
		t.Fatalf("only %d commands", len(n.commands))
	}
	for _, part := range []struct {
		name string
		run  func(*newcomer)
	}{{"one host", oneHost}, {"many hosts", manyHosts}, {"NATS", overNATS}} {
		t.Run(part.name, func(t *testing.T) {
			n.t, n.here = t, nil
			part.run(n)
		})
	}
	n.t = t
	if !t.Failed() {
		n.rest()
	}
}

// onMachine runs a line on this machine, in the folder of the sources.
func onMachine(line string) (string, error) {
	out, err := exec.Command("bash", "-c", line).CombinedOutput()
	return string(out), err
}

// setUp are the answers to install's questions, on a host or in an account, the last of
// which is a login.
func (g *guest) setUp(url string, system bool) []answer {
	all := []answer{
		{"[1]: ", "\n", nil},
		{"Webhook URL (not shown): ", url + "\n", nil},
		{"Send a test message now? ", "\n", nil},
		{"1, 2 or 3 [auto]: ", "\n", nil},
	}
	if system {
		all = append(all, answer{"Make these changes? ", "y\n", nil})
	}
	return append(all,
		answer{"Remember earlier logins", "\n", nil},
		answer{"Is this you: alice from ", "\n", nil},
		answer{"log in from another window now", "", func(string) string { g.login(); return "" }})
}

// oneHost is the way of somebody with one host: an account, the host by hand, the host
// by its package, and what the pages say of it.
func oneHost(n *newcomer) {
	g := newGuestCalled(n.t, "db1")
	g.write("etc/hosts", "127.0.0.1 localhost db1.example.com\n", 0o644)
	url := g.reachSlack()
	const quick, one, watching, report, respond, gate = "docs/quick-start.md", "docs/one-host.md", "docs/watching.md", "docs/report.md", "docs/respond.md", "docs/gate.md"

	n.here = []string{"7K3F", "…", "5ms", "…ms"}
	n.follow(g, "README.md", "go run ./cmd/sshnotify demo", way{at: onMachine})
	n.follow(g, quick, "CGO_ENABLED=0 go build", way{at: onMachine})
	n.here = nil
	g.run("install", "-d", "-o", "alice", "/home/alice/sources/build")
	if err := os.Rename("sshnotify", filepath.Join(g.dir, "home/alice/sources/sshnotify")); err != nil {
		n.t.Fatal(err)
	}

	// An account.
	untouched := g.read("home/alice/.bashrc")
	n.follow(g, quick, "install -Dm755 sshnotify ~/.local/bin/sshnotify", way{in: "sources"})
	n.follow(g, quick, "~/.local/bin/sshnotify install", way{answers: g.setUp(url, false)})
	n.follow(g, quick, "sshnotify doctor", way{})
	ref := ""
	g.eventually("login that is remembered", func() bool {
		out, _ := g.types("sshnotify history --json", "")
		_, id, _ := strings.Cut(out, `"id":"`)
		ref = id[:min(len(id), 4)]
		return ref != ""
	})
	n.here = []string{"7K3F", ref}
	n.follow(g, "docs/messages.md", "sshnotify show", way{})
	n.follow(g, "docs/messages.md", "sshnotify ack 7K3F --note", way{})
	n.follow(g, "docs/messages.md", "sshnotify ack 7K3F --undo", way{})
	n.here = nil
	n.follow(g, report, "sshnotify report --since 365d", way{})
	n.follow(g, quick, "sshnotify uninstall", way{})
	if got := g.read("home/alice/.bashrc"); got != untouched {
		n.t.Errorf("uninstalled, and .bashrc is\n%s", got)
	}
	// By hand.
	n.follow(g, one, `[ -z "$SSH_CONNECTION" ]`, way{at: func(line string) (string, error) {
		g.write("home/alice/.bashrc", line+"\n"+untouched, 0o644)
		logins := func() int {
			out, _ := g.types("sshnotify history --json", "")
			return strings.Count(out, "\n")
		}
		before := logins()
		g.login()
		g.eventually("login that a line by hand has told", func() bool { return logins() > before })
		g.write("home/alice/.bashrc", untouched, 0o644)
		return "", nil
	}})

	// The host by hand.
	g.write("etc/sudoers.d/alice", "alice ALL=(ALL) NOPASSWD: ALL\n", 0o440)
	n.follow(g, quick, "sudo install -m755 sshnotify", way{in: "sources"})
	n.follow(g, quick, "sudo sshnotify install --system", way{answers: g.setUp(url, true)})
	n.follow(g, quick, "sudo sshnotify doctor --system", way{})
	n.follow(g, quick, "sudo sshnotify uninstall --system", way{})
	g.run("sshnotify", "uninstall", "--system", "--purge", "--yes")
	g.run("rm", "/usr/bin/sshnotify")

	// The host by its package. What it recommends, hosts have.
	g.write("etc/apt/apt.conf.d/recommends", "APT::Install-Recommends \"false\";\n", 0o644)
	deb, err := packed()
	if err != nil {
		n.t.Fatal(err)
	}
	g.onHost("cp", deb, filepath.Join(g.dir, "home/alice/sources/build"))
	n.follow(g, quick, "sudo apt install ./build/", way{in: "sources"})
	n.follow(g, quick, "sudo sshnotify install --system", way{answers: g.setUp(url, true)})

	lines := ""
	for i := range 8 {
		lines += fmt.Sprintf("Nov 21 02:15:%02d db1 sshd[4711]: Failed password for root from 203.0.113.7 port 4711 ssh2\n", i)
	}
	lines += "Nov 21 02:16:00 db1 sshd[4712]: Accepted password for root from 203.0.113.7 port 4712 ssh2\n"
	g.write("var/log/auth.log", lines, 0o644)
	g.write("var/log/auth.log.1", lines, 0o644)
	g.run("sh", "-c", "gzip -c /var/log/auth.log.1 >/var/log/auth.log.2.gz")
	n.follow(g, one, "sudo sshnotify replay", way{})
	n.follow(g, one, "sudo journalctl ", way{})
	n.follow(g, one, "sshnotify replay /var/log", way{})
	n.follow(g, one, "sudo sshnotify install --system --services", way{answers: []answer{{"Make these changes? ", "y\n", nil}, {"log in from another window now", "", func(string) string { g.login(); return "" }}}})
	n.follow(g, watching, "sudo sshnotify install --system --watch", way{answers: []answer{{"Make these changes? ", "y\n", nil}, {"log in from another window now", "", func(string) string { g.login(); return "" }}}})
	n.follow(g, watching, "sudo sshnotify watch --replay", way{})
	n.follow(g, watching, "sudo journalctl -o json", way{})
	n.follow(g, watching, "sshnotify watch --explain", way{})
	n.follow(g, watching, "sudo journalctl -t sshd", way{})
	n.follow(g, report, "sudo sshnotify report -o", way{})
	n.follow(g, report, "sudo sshnotify report --mask", way{})
	g.run("mkdir", "-p", "/var/lib/prometheus/node-exporter")
	n.follow(g, "docs/monitoring.md", "sudo ln -s", way{})
	if out, err := g.try("runuser", "-u", "alice", "--", "cat", "/var/lib/prometheus/node-exporter/sshnotify.prom"); err != nil {
		n.t.Errorf("%v: %s", err, out)
	}

	// The URL as a credential of systemd's.
	g.run("cp", "/etc/sshnotify/slack.url", "/home/alice/sources/slack.url")
	g.run("sed", "-i", `s|^webhook_url_file = .*|webhook_url_file = "credential:slack"|`, "/etc/sshnotify/conf.d/slack.toml")
	n.follow(g, one, "sudo systemd-creds", way{in: "sources"})
	g.run("rm", "/etc/sshnotify/slack.url")
	n.follow(g, one, "sudo mkdir -p", way{})
	n.follow(g, one, "printf ", way{})
	n.follow(g, one, "sudo systemctl daemon-reload", way{})
	n.follow(g, one, "sudo systemctl restart", way{})
	n.follow(g, one, "sudo sshnotify test", way{again: true})
	g.run("sshnotify", "config", "check")
	if failed := g.doctor(); len(failed) > 0 {
		n.t.Error(failed)
	}

	// A night.
	g.run("useradd", "--create-home", "--shell", "/bin/bash", "bob")
	g.run("cp", "-r", "/home/alice/.ssh", "/home/bob/.ssh")
	g.run("chown", "-R", "bob:bob", "/home/bob/.ssh")
	n.here = []string{"7K3F", g.intruder(g, "sshnotify history --json --user bob")}
	n.follow(g, respond, "sudo sshnotify respond 7K3F", way{})
	n.follow(g, respond, "sudo sshnotify respond 7K3F --do end,lock,key,block", way{})
	n.follow(g, respond, "sudo sshnotify respond undo", way{})
	n.here = nil
	g.run("userdel", "bob")

	// A second step.
	g.run("useradd", "--create-home", "--shell", "/bin/bash", "deploy")
	g.run("cp", "-r", "/home/alice/.ssh", "/home/deploy/.ssh")
	g.run("chown", "-R", "deploy:deploy", "/home/deploy/.ssh")
	said := n.follow(g, gate, "sudo sshnotify gate enrol alice", way{answers: []answer{{"The code that the app shows: ", "", func(said string) string {
		_, key, _ := strings.Cut(said, "(time-based): ")
		key, _, _ = strings.Cut(key, "\r")
		app, err := secondstep.ParseSecret(key)
		if err != nil {
			n.t.Fatalf("%v: %q", err, key)
		}
		return app.Code(time.Now()) + "\n"
	}}}})
	recovery := regexp.MustCompile(`(?m)^  (\S{4}-\S{4}-\S{4})\r?$`).FindAllStringSubmatch(said, -1)
	if len(recovery) != 10 {
		n.t.Fatalf("no ten recovery codes:\n%s", said)
	}
	n.follow(g, gate, "sudo groupadd", way{})
	n.follow(g, gate, "sudo gpasswd", way{})
	n.follow(g, gate, "sudo sshnotify install --system --gate", way{answers: []answer{{"Make these changes? ", "y\n", nil}, {"Log in from another window now", "", func(string) string {
		tries := 0
		g.eventually("login that was asked, or not: alice is usual here", func() bool {
			tries++
			_, err := g.knock("alice", func(string) string { return recovery[tries%10][1] })
			return err == nil
		})
		return ""
	}}, {"Did the login go as it should?", "y\n", nil}}})
	text, err := os.ReadFile("docs/gate.md")
	if err != nil {
		n.t.Fatal(err)
	}
	codes := regexp.MustCompile("(?s)```toml\n(# /etc/sshnotify/codes.toml\n.*?)```").FindSubmatch(text)
	if codes == nil {
		n.t.Fatal("the page has no codes.toml")
	}
	g.write("etc/sshnotify/codes.toml", string(codes[1]), 0o644)
	n.follow(g, gate, "sudo chmod 600", way{})
	n.follow(g, gate, "sudo systemctl enable --now sshnotify-codes", way{})
	n.follow(g, gate, "sudo sshnotify doctor --system", way{})
	n.follow(g, one, "sudo sshnotify uninstall --system --gate", way{})
	n.follow(g, one, "sudo sshnotify uninstall --system$", way{})
	g.run("dpkg", "--purge", "sshnotify")
	g.run("rm", "-rf", "/etc/sshnotify", "/etc/systemd/system/sshnotify.service.d")
	g.run("dpkg", "--install", g.put())
	g.firstBoot(url)
}

// firstBoot does what cloud-init does with examples/cloud-init.yaml, once the package is
// installed: it writes the files, and then runs the commands.
func (g *guest) firstBoot(url string) {
	g.t.Helper()
	text, err := os.ReadFile("examples/cloud-init.yaml")
	if err != nil {
		g.t.Fatal(err)
	}
	var cloud struct {
		Packages   []string
		WriteFiles []struct{ Path, Permissions, Content string } `yaml:"write_files"`
		RunCmd     [][]string                                    `yaml:"runcmd"`
	}
	decoder := yaml.NewDecoder(strings.NewReader(strings.Replace(string(text), "https://hooks.slack.com/services/T00000000/B00000000/x", url, 1)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&cloud); err != nil || !strings.HasPrefix(string(text), "#cloud-config\n") || !slices.Equal(cloud.Packages, []string{"sshnotify"}) {
		g.t.Fatalf("examples/cloud-init.yaml: %v, it is %+v", err, cloud)
	}
	for _, f := range cloud.WriteFiles {
		mode, err := strconv.ParseUint(f.Permissions, 8, 32)
		if err != nil {
			g.t.Fatal(err)
		}
		g.write(f.Path, f.Content, os.FileMode(mode))
	}
	for _, words := range cloud.RunCmd {
		g.run(words...)
	}
	if failed := g.doctor(); len(failed) > 0 {
		g.t.Error(failed)
	}
	for _, f := range cloud.WriteFiles {
		if _, err := os.Lstat(filepath.Join(g.dir, f.Path)); err == nil {
			g.t.Errorf("%s is left", f.Path)
		}
	}
}

// intruder has bob log in and stay, and returns the ref of that login, which the line asks
// another guest's root for.
func (g *guest) intruder(at *guest, line string) (ref string) {
	g.t.Helper()
	// From elsewhere: what many of the host's own come from is never blocked.
	const address = "203.0.113.66"
	g.onHost("ip", "addr", "add", address+"/32", "dev", "ve-"+g.name)
	g.run("ip", "route", "add", address, "via", g.hostEnd)
	c := g.ssh("exec sleep 9000")
	for i, word := range c.Args {
		c.Args[i] = strings.NewReplacer("alice@", "bob@", "BindAddress="+g.hostEnd, "BindAddress="+address).Replace(word)
	}
	if err := c.Start(); err != nil {
		g.t.Fatal(err)
	}
	go c.Wait()
	g.eventually("login of bob", func() bool {
		out, _ := at.try("sh", "-c", line)
		_, id, _ := strings.Cut(out, `"id":"`)
		ref = id[:min(len(id), 4)]
		return ref != ""
	})
	return ref
}

// wire lays a wire between two guests, and has the other one know this one by its name.
func (g *guest) wire(other *guest, subnet, name string) {
	g.t.Helper()
	wire := "wire" + strings.ReplaceAll(subnet, ".", "")
	g.onHost("ip", "link", "add", "name", wire, "netns", strconv.Itoa(g.init), "type", "veth", "peer", "name", wire, "netns", strconv.Itoa(other.init))
	for i, end := range []*guest{g, other} {
		end.run("ip", "addr", "add", fmt.Sprintf("%s.%d/24", subnet, i+1), "dev", wire)
		end.run("ip", "link", "set", wire, "up")
	}
	other.write("etc/hosts", "127.0.0.1 localhost "+strings.TrimSpace(other.read("etc/hostname"))+"\n"+subnet+".1 "+name+"\n", 0o644)
}

// manyHosts is the way of somebody with a hub and two hosts, the second of which becomes
// the machine that can take over.
func manyHosts(n *newcomer) {
	hub, web1, web2 := newGuestCalled(n.t, "hub"), newGuestCalled(n.t, "web1"), newGuestCalled(n.t, "web2")
	hub.write("etc/hosts", "127.0.0.1 localhost hub.example.com\n", 0o644)
	hub.wire(web1, "192.0.2", "hub.example.com")
	hub.wire(web2, "203.0.113", "hub.example.com")
	for _, g := range []*guest{hub, web1, web2} {
		g.write("etc/sudoers.d/alice", "alice ALL=(ALL) NOPASSWD: ALL\n", 0o440)
		g.run("dpkg", "--install", g.put())
	}
	const many, report, respond = "docs/many-hosts.md", "docs/report.md", "docs/respond.md"
	token := func(said string) string {
		n.t.Helper()
		text := regexp.MustCompile(`(?m)^sshn\S+`).FindString(said)
		if text == "" {
			n.t.Fatalf("no token:\n%s", said)
		}
		return text + "\n"
	}

	n.follow(hub, many, "sudo sshnotify install --system --hub-listen", way{answers: hub.setUp(hub.reachSlack(), true)})
	n.follow(hub, many, "sudo sshnotify doctor$", way{again: true})
	to := token(n.follow(hub, "README.md", "sudo sshnotify fleet token", way{}))
	n.follow(web1, many, "sudo sshnotify install --system --hub ", way{answers: []answer{{"Token (not shown): ", to, nil}, {"Make these changes? ", "y\n", nil}, {"log in from another window now", "", func(string) string { web1.login(); return "" }}}})

	// The second one is set up already.
	web2.write("root/slack.url", web2.reachSlack()+"\n", 0o600)
	web2.run("sshnotify", "install", "--system", "--yes", "--webhook-url-file", "/root/slack.url")
	n.here = []string{"web1", "web2"}
	to = token(n.follow(hub, many, "sudo sshnotify fleet token --name web1 --label", way{}))
	n.follow(web2, many, "sudo sshnotify fleet join", way{stdin: to})
	n.follow(web2, many, "sudo sshnotify fleet join", way{stdin: to, fails: true})
	web2.run("systemctl", "reload", "sshnotify")
	n.follow(web2, many, "sudo sshnotify doctor --online", way{again: true})
	n.here = []string{"11 min", "…", "42 s", "…", "2.0.0", "…", "c645cccb", "…", "6f5f05ad", "…"}
	n.follow(hub, many, "sudo sshnotify fleet status", way{again: true})

	// What the page says of the hub's reports.
	n.here = nil
	reader := token(n.follow(hub, report, "sudo sshnotify fleet token --reader", way{}))
	home := n.t.TempDir()
	ca := hub.run("sshnotify", "fleet", "ca")
	for name, text := range map[string]string{"header": "Authorization: Bearer " + strings.TrimSpace(reader) + "\n", "ca.pem": ca,
		".curlrc": "cacert = " + home + "/ca.pem\nresolve = hub.example.com:8443:" + hub.guestEnd + "\nfail\nsilent\nshow-error\n"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
	page := n.follow(hub, report, "curl ", way{at: func(line string) (string, error) { return onMachine("cd " + home + " && HOME=$PWD && " + line) }})
	if !strings.Contains(page, "</html>") {
		n.t.Errorf("the page is %q", page)
	}

	// An order.
	web1.run("useradd", "--create-home", "--shell", "/bin/bash", "bob")
	web1.run("cp", "-r", "/home/alice/.ssh", "/home/bob/.ssh")
	web1.run("chown", "-R", "bob:bob", "/home/bob/.ssh")
	n.follow(web1, respond, "sudo sshnotify install --system --respond", way{answers: []answer{{"Make these changes? ", "y\n", nil}, {"log in from another window now", "\x03", nil}}})
	hub.eventually("host to be known to take orders", func() bool {
		out, _ := hub.try("sshnotify", "doctor", "--json")
		return strings.Contains(out, "hosts that take them: 1")
	})
	n.here = []string{"7K3F", web1.intruder(hub, "sshnotify history --json --user bob")}
	n.follow(hub, respond, "sudo sshnotify respond 7K3F --do", way{})
	n.here = nil

	// The hub is away.
	hub.run("systemctl", "stop", "sshnotify")
	web1.login()
	n.here = []string{"KJH3", "…", "carol from 203.0.113.9", "alice from " + web1.hostEnd}
	n.follow(web1, many, "sudo sshnotify doctor$", way{again: true})
	n.follow(web1, many, "sudo sshnotify queue", way{again: true})
	n.here = nil
	hub.run("systemctl", "start", "sshnotify")

	n.follow(hub, many, "sudo sshnotify fleet revoke", way{again: true})
	web2.run("sshnotify", "alert", "A test")
	n.follow(web2, many, "sudo sshnotify doctor$", way{again: true, fails: true})
	n.follow(hub, many, "sudo sshnotify fleet token --bearer", way{})
	// In the place of sqlite3, which the guest has not.
	hub.write("usr/local/bin/sqlite3", "#!/usr/bin/python3\nimport sqlite3, sys\nsqlite3.connect(sys.argv[1], isolation_level=None).execute(sys.argv[2])\n", 0o755)
	n.follow(hub, many, "sudo sqlite3", way{})

	// The second machine.
	to = token(n.follow(hub, many, "sudo sshnotify fleet token --standby", way{}))
	n.follow(web2, many, "sudo sshnotify fleet join https://hub.example.com:8443 --token-file - --standby", way{stdin: to})
	n.follow(web2, many, "sudo systemctl restart sshnotify", way{})
	n.follow(web2, many, "sudo sshnotify doctor   ", way{again: true})
	web2.eventually("copy of the hub's database", func() bool {
		out, _ := web2.try("sshnotify", "doctor")
		return strings.Contains(out, "✓ standby: the copy of the hub's database is of ")
	})
	n.follow(web2, many, "sudo systemctl stop sshnotify", way{})
	n.follow(web2, many, "sudo sshnotify fleet takeover", way{})
}

// overNATS is what the page about NATS has somebody do at a host. Its key is that of
// web1, so that what the host says under another name is refused.
func overNATS(n *newcomer) {
	g := newGuestCalled(n.t, "web1")
	g.write("etc/hosts", "127.0.0.1 localhost web1.example.com\n", 0o644)
	g.write("etc/sudoers.d/alice", "alice ALL=(ALL) NOPASSWD: ALL\n", 0o440)
	for name, main := range map[string]string{"nk": "github.com/nats-io/nkeys/nk", "nats-server": "github.com/nats-io/nats-server/v2"} {
		g.onHost("go", "build", "-o", filepath.Join(g.dir, "usr/local/bin", name), main)
	}
	g.run("dpkg", "--install", g.put())
	more, err := filepath.Glob("build/sshnotify-nats_*.deb")
	if err != nil || len(more) != 1 {
		n.t.Fatal(err, more)
	}
	g.onHost("cp", more[0], filepath.Join(g.dir, "opt/sshnotify-nats.deb"))
	g.run("dpkg", "--install", "/opt/sshnotify-nats.deb")

	const page, example = "docs/nats.md", "UDYBGNB5C72DX7RM7JVEMKBSKJXLPGL3CHGXP2EY7NAD4UMDFCTKVNZ4"
	n.follow(g, page, "nk -gen", way{})
	n.here = []string{example, "U…"}
	public := strings.TrimSpace(n.follow(g, page, "nk -inkey", way{}))
	n.here = nil
	hosts, err := os.ReadFile("examples/nats/hosts.conf")
	if err != nil {
		n.t.Fatal(err)
	}
	g.write("etc/nats/hosts.conf", regexp.MustCompile(`nkey: \w+(, permissions: \{ publish: \["ev\.web1)`).ReplaceAllString(string(hosts), "nkey: "+public+"$1"), 0o644)
	g.write("etc/nats/server.conf", "listen: \"127.0.0.1:4222\"\njetstream { store_dir: \"/var/lib/nats\" }\ninclude hosts.conf\n", 0o644)
	g.run("systemd-run", "--quiet", "--unit=nats", "/usr/local/bin/nats-server", "--config", "/etc/nats/server.conf")
	g.run("install", "-m640", "-g", "sshnotify", "/home/alice/nats.nk", "/etc/sshnotify/nats.nk")
	g.write("etc/sshnotify/conf.d/hub.toml", "[hub]\nurl = \"nats://127.0.0.1:4222\"\nname = \"web2\"\ncredentials_file = \"/etc/sshnotify/nats.nk\"\n", 0o644)
	n.follow(g, page, "sudo sshnotify-nats config check", way{})
	n.follow(g, page, "sudo systemctl restart sshnotify", way{})
	g.run("sshnotify-nats", "alert", "A test")
	if out := n.follow(g, page, "sudo sshnotify-nats doctor", way{again: true, fails: true}); !strings.Contains(out, "✓ settings as the service: ") {
		n.t.Errorf("the service can read its settings:\n%s", out)
	}
}
