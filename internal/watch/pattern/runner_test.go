package pattern

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

// script writes a program and returns its path.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// runner returns a Runner whose results come over a channel.
func runner(t *testing.T, o RunnerOptions) (*Runner, <-chan Result) {
	results := make(chan Result, 100)
	o.Report = func(r Result) { results <- r }
	r := NewRunner(o)
	t.Cleanup(func() { r.Close(t.Context()) })
	return r, results
}

// The lines that swatch ran, and more, given to a real program in every way
// that there is: nothing of them is run.
func TestNothingOfALineIsRun(t *testing.T) {
	dir := t.TempDir()
	mark, seen := filepath.Join(dir, "F"), filepath.Join(dir, "seen")
	program := script(t, `{ for a; do printf 'arg %s\n' "$a"; done; printf 'env %s\n' "$SSHNOTIFY_FIELD_USER"; printf 'line %s\n' "$SSHNOTIFY_LINE"; cat; } >`+seen)
	e := engine(t, Pattern{Name: "p", Match: mustCompile(`Invalid user (?P<user>.*) from (?P<ip>\S+)$`), Title: "${user}",
		Exec: &Exec{Command: []string{program, "${user}", "--user=${user}", "$$(id)"}}})
	for i, user := range []string{
		"$(touch " + mark + ")", "`touch " + mark + "`", "`id>" + mark + "`", `";touch ` + mark + `;"`, "';touch " + mark + ";'",
		"x|touch " + mark, "x\ntouch " + mark, "x & touch " + mark + " &", "${IFS}touch${IFS}" + mark, "() { :;}; touch " + mark,
		"--output=" + mark, "-o" + mark, "%s%n", `\$(touch ` + mark + `)`, "a\x00b", "\xff\u202e",
	} {
		r, results := runner(t, RunnerOptions{})
		got := e.Take(text("sshd[1]: Invalid user "+strings.ReplaceAll(user, "\n", "\r")+" from 192.0.2.1"), now.Add(time.Duration(i)*time.Hour))
		if len(got) != 1 || !r.Run(got[0]) {
			t.Fatalf("%q: %d matches", user, len(got))
		}
		if res := <-results; res.Err != nil || res.Exit != 0 {
			t.Fatalf("%q: %+v", user, res)
		}
		if _, err := os.Stat(mark); err == nil {
			t.Fatalf("%q was run", user)
		}
		data, err := os.ReadFile(seen)
		if err != nil {
			t.Fatal(err)
		}
		clean := event.Clean(strings.ReplaceAll(user, "\n", "\r"), maxValue)
		arg := clean
		if strings.HasPrefix(arg, "-") {
			arg = `\u002d` + arg[1:]
		}
		input, err := json.Marshal(got[0])
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("arg %s\narg --user=%s\narg $(id)\nenv %s\nline %s\n%s\n", arg, clean, clean, got[0].Line, input)
		if string(data) != want {
			t.Errorf("%q: %s", user, cmp.Diff(want, string(data)))
		}
	}
}

func TestWhatAProgramIsGiven(t *testing.T) {
	t.Setenv("SECRET", "hunter2")
	env, err := exec.LookPath("env")
	if err != nil {
		t.Skip("no env here")
	}
	r, results := runner(t, RunnerOptions{})
	m := Match{Pattern: "p", Time: now, Severity: event.High, Title: "T", Text: "X", IP: netip.MustParseAddr("192.0.2.1"), Source: "s", Line: "l\x00l",
		Count: 3, LeftOut: 2, Key: "k", Fields: map[string]string{"alert.signature": "a b", "alert_signature": "other", "1": "one"},
		Exec: &Command{Args: []string{env}, Timeout: execTimeout}}
	r.Run(m)
	res := <-results
	want := []string{"LANG=C.UTF-8", "PATH=" + searchPath, "SSHNOTIFY_COUNT=3", "SSHNOTIFY_FIELD_1=one", "SSHNOTIFY_FIELD_ALERT_SIGNATURE=a b",
		"SSHNOTIFY_IP=192.0.2.1", "SSHNOTIFY_KEY=k", "SSHNOTIFY_LEFT_OUT=2", "SSHNOTIFY_LINE=ll", "SSHNOTIFY_PATTERN=p", "SSHNOTIFY_SEVERITY=high",
		"SSHNOTIFY_SOURCE=s", "SSHNOTIFY_TEXT=X", "SSHNOTIFY_TIME=2026-11-21T02:15:04Z", "SSHNOTIFY_TITLE=T"}
	got := strings.Split(res.Output, `\u000a`)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	wantJSON := `{"pattern":"p","time":"2026-11-21T02:15:04Z","severity":"high","title":"T","text":"X","ip":"192.0.2.1",` +
		`"fields":{"1":"one","alert.signature":"a b","alert_signature":"other"},"source":"s","line":"l\u0000l","count":3,"left_out":2,"key":"k"}`
	if string(data) != wantJSON {
		t.Errorf("%s", data)
	}
}

func TestHowAProgramEnds(t *testing.T) {
	run := func(o RunnerOptions, timeout time.Duration, args ...string) Result {
		r, results := runner(t, o)
		r.Run(Match{Pattern: "p", Exec: &Command{Args: args, Timeout: timeout}})
		return <-results
	}
	quick := RunnerOptions{Grace: 30 * time.Millisecond}
	if res := run(quick, execTimeout, script(t, "echo no; echo way >&2; exit 3")); res.Exit != 3 || res.Err == nil || res.Late || res.Output != `no\u000away` {
		t.Errorf("it failed: %+v", res)
	}
	if res := run(quick, execTimeout, "/nowhere/program"); res.Exit != -1 || !errors.Is(res.Err, os.ErrNotExist) || res.Late {
		t.Errorf("it is not there: %+v", res)
	}
	if res := run(quick, execTimeout, script(t, `i=0; while [ $i -lt 3000 ]; do echo 0123456789; i=$((i+1)); done`)); res.Err != nil || len(res.Output) < 3000 || len(res.Output) > 3*maxOutput {
		t.Errorf("it says much: %d bytes, %v", len(res.Output), res.Err)
	}
	if res := run(quick, 20*time.Millisecond, script(t, "exec sleep 60")); res.Exit != -1 || !res.Late || res.Err == nil {
		t.Errorf("it takes too long: %+v", res)
	}
	if res := run(quick, execTimeout, script(t, "sleep 3 & exit 0")); res.Exit != 0 || res.Err != nil || res.Late {
		t.Errorf("it leaves a child behind that keeps its output: %+v", res)
	}
}

func TestOutputIsBounded(t *testing.T) {
	h := &head{left: 5}
	for _, s := range []string{"abc", "defg", "hi"} {
		if n, err := h.Write([]byte(s)); n != len(s) || err != nil {
			t.Errorf("%q: %d, %v", s, n, err)
		}
	}
	if h.buf.String() != "abcde" {
		t.Errorf("%q is kept", h.buf.String())
	}
}

// A program that ignores SIGTERM is killed, with what it started.
func TestStubbornProgram(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	program := script(t, `trap '' TERM; sleep 60 & echo $$ $! >`+pids+`; while :; do sleep 60; done`)
	r, results := runner(t, RunnerOptions{Grace: 50 * time.Millisecond})
	r.Run(Match{Exec: &Command{Args: []string{program}, Timeout: 300 * time.Millisecond}})
	if res := <-results; !res.Late || res.Exit != -1 {
		t.Errorf("%+v", res)
	}
	data, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	var leader, child int
	if _, err := fmt.Sscan(string(data), &leader, &child); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(leader, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the program lives: %v", err)
	}
	waitFor(t, func() bool { return gone(child) }) // an orphan is gone when its new parent has looked
}

// gone tells that a process has ended, reaped or not.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestTooManyPrograms(t *testing.T) {
	dir := t.TempDir()
	gate := filepath.Join(dir, "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	// Each says that it runs, and waits for the gate to open.
	program := script(t, "echo x >>"+dir+"/running; read -r _ <"+gate)
	r, results := runner(t, RunnerOptions{AtOnce: 2, Queue: 3})
	m := Match{Pattern: "p", Exec: &Command{Args: []string{program}, Timeout: execTimeout}}
	r.Run(m)
	r.Run(m)
	waitFor(t, func() bool { data, _ := os.ReadFile(dir + "/running"); return len(data) == 4 })
	for i := range 5 {
		if got := r.Run(m); got != (i < 3) {
			t.Fatalf("match %d: %v", i, got)
		}
	}
	if data, _ := os.ReadFile(dir + "/running"); len(data) != 4 {
		t.Errorf("%d run at once", len(data)/2)
	}
	open, err := os.OpenFile(gate, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if _, err := open.WriteString("\n\n\n\n\n\n\n\n\n"); err != nil {
		t.Fatal(err)
	}
	dropped := 0
	for range 5 {
		res := <-results
		dropped += res.Dropped
		if res.Err != nil {
			t.Errorf("%+v", res)
		}
	}
	if dropped != 2 {
		t.Errorf("%d dropped, want 2", dropped)
	}
	if !r.Run(Match{}) {
		t.Error("a match without a program needs room")
	}
}

func TestClose(t *testing.T) {
	program := script(t, "exec sleep 60")
	r, results := runner(t, RunnerOptions{AtOnce: 1, Grace: 30 * time.Millisecond})
	m := Match{Exec: &Command{Args: []string{program}, Timeout: time.Minute}}
	for range 4 {
		r.Run(m)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dropped := r.Close(ctx)
	for len(results) > 0 {
		res := <-results
		dropped += res.Dropped
		if res.Err == nil || res.Late {
			t.Errorf("%+v", res)
		}
		dropped++ // it was ended
	}
	if dropped != 4 {
		t.Errorf("%d of 4 are accounted for", dropped)
	}
	if r.Run(m) || r.Close(t.Context()) != 1 {
		t.Error("a closed one still takes matches")
	}
	// What waits is run when there is time.
	program = script(t, "exit 0")
	r, results = runner(t, RunnerOptions{AtOnce: 1})
	for range 3 {
		r.Run(Match{Exec: &Command{Args: []string{program}, Timeout: execTimeout}})
	}
	if n := r.Close(t.Context()); n != 0 || len(results) != 3 {
		t.Errorf("%d dropped, %d ran", n, len(results))
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if done() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("it never came")
}
