package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// scripts is where they are, for every test of the program's behaviour that is
// a few commands and what they print.
const scripts = "../../testdata/script"

// TestScripts runs each of them with the program first in PATH, in an empty
// home, with an empty spool in $WORK/spool. Beside testscript's own commands
// they have:
//
//	slack [STATUS BODY|hang]    start a stand-in that answers so, or never; $SLACK_URL
//	smtp [VERB ANSWER]          start a stand-in that takes mail, and answers so to a command; $SMTP
//	mails N                     wait for N mails, N in all, and write mails.txt
//	mend                        from now on it takes messages
//	x                           start a stand-in for X; $X_URL and the app's $X_KEY, $X_SECRET, a $X_PIN
//	posts N                     N posts are on X; write posts.txt
//	threatjammer [STATUS BODY]  the same for Threat Jammer; $TJ_URL, $TJ_KEY
//	settings FILE…              put $VARIABLES into settings, and close them to others
//	login USER IP [KIND]        run the hook as sshd and pam_exec do, without a worker
//	requests N                  wait for N requests to the stand-in for Slack
//	messages N                  wait for N messages, N in all, and write messages.txt
//	fails CODE PROGRAM ARG…     run a program, which must exit with CODE
//	idle                        wait until no worker is at the spool
//
// and the conditions [root], and [e2e] for scripts that take seconds.
func TestScripts(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	ran := make(map[string]bool)
	t.Run("all", func(t *testing.T) {
		testscript.Run(t, testscript.Params{
			Dir:                 scripts,
			RequireUniqueNames:  true,
			RequireExplicitExec: true,
			Condition: func(cond string) (bool, error) {
				switch cond {
				case "root":
					return os.Getuid() == 0, nil
				case "e2e":
					return endToEnd(), nil
				}
				return false, fmt.Errorf("unknown condition %q", cond)
			},
			Setup: func(e *testscript.Env) error {
				mu.Lock()
				ran[strings.TrimPrefix(filepath.Base(e.WorkDir), "script-")] = true
				mu.Unlock()
				return setUpScript(e)
			},
			Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
				"slack": scriptSlack, "smtp": scriptSMTP, "mails": scriptMails, "x": scriptX, "posts": scriptPosts, "mend": scriptMend, "threatjammer": scriptThreatJammer, "settings": scriptSettings,
				"login": scriptLogin, "messages": scriptMessages, "requests": scriptRequests, "fails": scriptFails, "idle": scriptIdle,
			},
		})
	})
	if run := flag.Lookup("test.run"); run == nil || !strings.Contains(run.Value.String(), "/") { // not of one that is asked for
		checkScripts(t, ran)
	}
}

// checkScripts insists that every script there is ran, and bears the name of
// what it is about.
func checkScripts(t *testing.T, ran map[string]bool) {
	topics := []string{"hook", "deliver", "alert", "queue", "show", "config", "lookup", "preview", "replay", "test", "demo", "install", "uninstall", "doctor", "version", "completion", "history", "ack", "silence", "policy", "memory", "watch", "help", "usage", "attack", "channels", "channel", "auth", "check", "fleet", "deny", "confirm", "report", "respond"}
	n := 0
	err := filepath.WalkDir(filepath.Dir(scripts), func(path string, d fs.DirEntry, err error) error {
		name, isScript := strings.CutSuffix(filepath.Base(path), ".txtar")
		if err != nil || d.IsDir() || !isScript {
			return err
		}
		n++
		if filepath.Dir(path) != scripts {
			t.Errorf("%s is not where scripts are run", path)
		} else if !ran[name] {
			t.Errorf("%s did not run", path)
		}
		if topic, _, _ := strings.Cut(name, "-"); !slices.Contains(topics, topic) {
			t.Errorf("%s is about none of %q", path, topics)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if n < 20 {
		t.Errorf("only %d scripts were found", n)
	}
}

// stage is what the commands of one script share.
type stage struct {
	site  *site
	slack *standin.Slack
	smtp  *standin.SMTP
	x     *standin.X
	well  *atomic.Bool // the stand-ins do as the real ones
}

type stageKey struct{}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

func setUpScript(e *testscript.Env) error {
	home := filepath.Join(e.WorkDir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	// A script may bring a spool of its own.
	if err := os.Mkdir(filepath.Join(e.WorkDir, "spool"), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	e.Setenv("HOME", home)
	e.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+e.Getenv("PATH"))
	e.Setenv("BIN", binary) // for where there is no PATH
	g := &stage{site: &site{dir: e.WorkDir, spool: filepath.Join(e.WorkDir, "spool")}, well: new(atomic.Bool)}
	e.Values[stageKey{}] = g
	e.Defer(func() {
		for end := time.Now().Add(patience); len(kill(g.site.workers())) > 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		}
	})
	return nil
}

// behave answers with a status and a body until mended; nil where none is named.
func (g *stage) behave(ts *testscript.TestScript, args []string) standin.Behave {
	if len(args) == 0 {
		return nil
	}
	if slices.Equal(args, []string{"hang"}) {
		return func(int, *http.Request) *standin.Answer {
			if g.well.Load() {
				return nil
			}
			return &standin.Answer{Hang: true}
		}
	}
	if len(args) != 2 {
		ts.Fatalf("usage: [STATUS BODY|hang]")
	}
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	return func(int, *http.Request) *standin.Answer {
		if g.well.Load() {
			return nil
		}
		a := standin.Answer{Status: status, Body: args[1]}
		if strings.HasPrefix(args[1], "{") {
			a.Header = http.Header{"Content-Type": {"application/json"}}
		}
		return &a
	}
}

func scriptSlack(ts *testscript.TestScript, neg bool, args []string) {
	g := stageOf(ts)
	var err error
	g.slack, err = standin.StartSlack(standin.SlackOptions{Behave: g.behave(ts, args)})
	ts.Check(err)
	ts.Defer(g.slack.Close)
	ts.Setenv("SLACK_URL", g.slack.URL())
}

func scriptSMTP(ts *testscript.TestScript, neg bool, args []string) {
	g := stageOf(ts)
	var err error
	g.smtp, err = standin.StartSMTP(standin.SMTPOptions{Behave: func(verb, _ string) string {
		if len(args) == 2 && verb == args[0] && !g.well.Load() {
			return args[1]
		}
		return ""
	}})
	ts.Check(err)
	ts.Defer(g.smtp.Close)
	ts.Setenv("SMTP", g.smtp.Addr())
}

// scriptMails writes mails as a mail program shows them: the headers decoded, and
// the text.
func scriptMails(ts *testscript.TestScript, neg bool, args []string) {
	g := stageOf(ts)
	if g.smtp == nil || len(args) != 1 {
		ts.Fatalf("usage: mails N, after smtp")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ts.Check(g.smtp.Wait(ctx, want))
	var b strings.Builder
	for _, m := range g.smtp.Mails() {
		read, err := standin.ReadMail(m.Data)
		ts.Check(err)
		fmt.Fprintf(&b, "for: %s\n%s\n", m.To, read.Show())
	}
	for _, f := range g.smtp.Faults() {
		ts.Fatalf("the server was given what it need not take: %s", f)
	}
	ts.Check(os.WriteFile(ts.MkAbs("mails.txt"), []byte(b.String()), 0o600))
	if n := len(g.smtp.Mails()); n != want {
		ts.Fatalf("%d mails, want %d:\n%s", n, want, b.String())
	}
}

func scriptX(ts *testscript.TestScript, neg bool, args []string) {
	x, err := standin.StartX()
	ts.Check(err)
	ts.Defer(x.Close)
	stageOf(ts).x = x
	ts.Setenv("X_URL", x.URL())
	ts.Setenv("X_TOKEN", standin.XToken+" "+standin.XTokenSecret)
	ts.Setenv("X_KEY", standin.XConsumerKey)
	ts.Setenv("X_SECRET", standin.XConsumerSecret)
	ts.Setenv("X_PIN", standin.XPIN)
}

func scriptPosts(ts *testscript.TestScript, neg bool, args []string) {
	g := stageOf(ts)
	if g.x == nil || len(args) != 1 {
		ts.Fatalf("usage: posts N, after x")
	}
	all := g.x.Texts()
	ts.Check(os.WriteFile(ts.MkAbs("posts.txt"), []byte(strings.Join(all, "\n")+"\n"), 0o600))
	if strconv.Itoa(len(all)) != args[0] {
		ts.Fatalf("%d posts on X, want %s: %q", len(all), args[0], all)
	}
}

func scriptMend(ts *testscript.TestScript, neg bool, args []string) { stageOf(ts).well.Store(true) }

func scriptThreatJammer(ts *testscript.TestScript, neg bool, args []string) {
	tj, err := standin.StartThreatJammer(standin.ThreatJammerOptions{Behave: stageOf(ts).behave(ts, args)})
	ts.Check(err)
	ts.Defer(tj.Close)
	ts.Setenv("TJ_URL", tj.URL())
	ts.Setenv("TJ_KEY", tj.Key())
}

func scriptSettings(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), func(v string) string {
			value := ts.Getenv(v)
			if value == "" {
				ts.Fatalf("%s: $%s is not set", name, v)
			}
			return value
		})
		path := ts.MkAbs(name)
		ts.Check(os.WriteFile(path, []byte(text), 0o600))
		ts.Check(os.Chmod(path, 0o600))
	}
}

func scriptLogin(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: login USER IP [KIND]")
	}
	kind := "open_session"
	if len(args) == 3 {
		kind = args[2]
	}
	ip, err := netip.ParseAddr(args[1])
	ts.Check(err)
	for _, kv := range pamEnv(kind, args[0], ip) {
		k, v, _ := strings.Cut(kv, "=")
		ts.Setenv(k, v)
	}
	err = ts.Exec("sshnotify", "hook", "--spool", stageOf(ts).site.spool, "--no-worker")
	for _, kv := range pamEnv(kind, args[0], ip) {
		k, _, _ := strings.Cut(kv, "=")
		ts.Setenv(k, "") // of no session
	}
	ts.Check(err)
}

func scriptMessages(ts *testscript.TestScript, neg bool, args []string) {
	g := stageOf(ts)
	if g.slack == nil || len(args) != 1 {
		ts.Fatalf("usage: messages N, after slack")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ts.Check(g.slack.Wait(ctx, want))
	all := g.slack.Messages()
	var b strings.Builder
	for _, m := range all {
		fmt.Fprintf(&b, "notification: %s\n", m.Payload.Text)
		for _, a := range m.Payload.Attachments {
			fmt.Fprintf(&b, "color: %s\ntitle: %s\n", a.Color, a.Title)
			for line := range strings.Lines(a.Text) {
				fmt.Fprintf(&b, "| %s\n", strings.TrimSuffix(line, "\n"))
			}
			fmt.Fprintf(&b, "footer: %s\n", a.Footer)
		}
		if !json.Valid(m.Raw) {
			ts.Fatalf("no JSON: %s", m.Raw)
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs("messages.txt"), []byte(b.String()), 0o600))
	if len(all) != want {
		ts.Fatalf("%d messages in Slack, want %d:\n%s", len(all), want, b.String())
	}
}

func scriptRequests(ts *testscript.TestScript, neg bool, args []string) {
	g := stageOf(ts)
	if g.slack == nil || len(args) != 1 {
		ts.Fatalf("usage: requests N, after slack")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ts.Check(g.slack.WaitRequests(ctx, want))
}

func scriptFails(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: fails CODE PROGRAM ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		ts.Fatalf("it did not fail: %v", err)
	}
	if got := exit.ExitCode(); got != want {
		ts.Fatalf("exit %d, want %d", got, want)
	}
}

func scriptIdle(ts *testscript.TestScript, neg bool, args []string) {
	g := stageOf(ts)
	for end := time.Now().Add(patience); len(g.site.workers()) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("a worker does not end")
		}
	}
}
