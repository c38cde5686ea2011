package channel

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/message"
)

// script returns the path of a program that runs a shell's lines.
func script(t *testing.T, lines string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tell")
	// A child that another test starts meanwhile would hold it open for writing.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+lines+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func told(t *testing.T, s Settings) *Error {
	t.Helper()
	c, err := s.Open("local", Env{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Send(t.Context(), login())
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%T is not an *Error: %v", err, err)
	}
	if s := leak(e.Error()); s != "" || strings.ContainsAny(e.Error(), "\n\x1b\u202e") {
		t.Errorf("%q", e.Error())
	}
	return e
}

func TestExec(t *testing.T) {
	for _, tc := range []struct {
		name, lines string
		want        *Error
		text        string
	}{
		{"told", "cat >/dev/null", nil, ""},
		{"told, and it reads nothing", "exit 0", nil, ""},
		{"asks to try again", "echo busy >&2; exit 75", &Error{Class: Again}, "exit status 75): busy"},
		{"fails as the settings say that it may", "exit 9", &Error{Class: Again}, "exit status 9)"},
		{"fails", "printf 'a\\n\\033[31mwrong %s\\n' \"$1\"; exit 3", &Error{Class: Bug}, "exit status 3): "},
		{"dies", "kill -SEGV $$", &Error{Class: Again, Sent: true}, "segmentation"},
		{"hangs, with a child", "sleep 60 & sleep 60", &Error{Class: Again, Sent: true}, "was killed after 200ms"},
		{"says a lot", "head -c 1000000 /dev/zero | tr '\\0' x; exit 1", &Error{Class: Bug}, "…"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			timeout := time.Minute
			if strings.HasPrefix(tc.name, "hangs") {
				timeout = 200 * time.Millisecond
			}
			sameError(t, told(t, &Exec{Command: []string{script(t, tc.lines), "https://example.com/xyzzy"}, Again: []int{9}, Timeout: timeout}), tc.want, tc.text)
		})
	}
	sameError(t, told(t, &Exec{Command: []string{"/nonexistent/tell"}}), &Error{Class: Broken}, "no such file")
	replaced := script(t, "exit 0")
	f, err := os.OpenFile(replaced, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	sameError(t, told(t, &Exec{Command: []string{replaced}}), &Error{Class: Again}, "text file busy")
	f.Close()
	if _, err := (&Exec{Command: []string{"tell"}}).Open("local", Env{}); err == nil {
		t.Error("a program is looked for in PATH")
	}
}

// The program gets the alert and nothing of the worker's: no variable, no
// descriptor, and its own group.
func TestExecSurroundings(t *testing.T) {
	t.Setenv("SWORDFISH", "xyzzy")
	dir := t.TempDir()
	path := script(t, "cat >"+dir+"/input; env >"+dir+"/env; pwd >"+dir+"/pwd; echo \"$2\" >"+dir+"/arg; cut -d' ' -f5 /proc/$$/stat | grep -qx $$")
	for input, want := range map[string]string{"": "", "text": message.New(login()).Plain(false)} {
		if e := told(t, &Exec{Command: []string{path, "-t", "a b; c"}, Input: input}); e != nil {
			t.Fatal(e)
		}
		read := func(name string) string {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		if got := read("input"); want == "" {
			if err := payloadSchema([]byte(got)); err != nil {
				t.Error(err)
			}
		} else if got != want {
			t.Errorf("the input is %q", got)
		}
		if s := read("env"); strings.Contains(s, "xyzzy") || !strings.Contains(s, "PATH=/usr/local/sbin") {
			t.Errorf("the environment is %q", s)
		}
		if read("pwd") != "/\n" || read("arg") != "a b; c\n" {
			t.Errorf("in %q, with %q", read("pwd"), read("arg"))
		}
	}
}

func TestExecCancelled(t *testing.T) {
	c, err := (&Exec{Command: []string{script(t, "sleep 60")}}).Open("local", Env{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := c.Send(ctx, login()); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	os.Chmod(dir, 0o750)
	path := filepath.Join(dir, "events.jsonl")
	lines := func() []string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	}
	send := func() {
		t.Helper()
		if e := told(t, &File{path}); e != nil {
			t.Fatal(e)
		}
	}
	send()
	send()
	if got := lines(); len(got) != 2 || payloadSchema([]byte(got[1])) != nil {
		t.Errorf("%q", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	// As logrotate does it, which needs no signal.
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	send()
	if got := lines(); len(got) != 1 {
		t.Errorf("after a rotation: %q", got)
	}
	// What a full disk left of a line spoils no other.
	if err := os.WriteFile(path, []byte(`{"version":1,"id"`), 0o640); err != nil {
		t.Fatal(err)
	}
	send()
	if got := lines(); len(got) != 2 || !json.Valid([]byte(got[1])) {
		t.Errorf("after a torn line: %q", got)
	}
}

func TestFileRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "shadow")
	for name, prepare := range map[string]func(dir, path string) error{
		"a link":             func(_, path string) error { return os.Symlink(outside, path) },
		"a FIFO":             func(_, path string) error { return syscall.Mkfifo(path, 0o600) },
		"a folder":           func(_, path string) error { return os.Mkdir(path, 0o700) },
		"a folder of others": func(dir, _ string) error { return os.Chmod(dir, 0o777) },
		"no folder":          func(dir, _ string) error { return os.Remove(dir) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "log")
			path := filepath.Join(dir, "events.jsonl")
			if err := errors.Join(os.Mkdir(dir, 0o750), prepare(dir, path)); err != nil {
				t.Fatal(err)
			}
			sameError(t, told(t, &File{path}), &Error{Class: Broken}, "events.jsonl"[:0])
		})
	}
	if _, err := os.Stat(outside); err == nil {
		t.Error("a link was followed")
	}
	sameError(t, fileError(&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}), &Error{Class: Again}, "no space")
}
