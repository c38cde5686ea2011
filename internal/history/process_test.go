package history

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// The test binary plays other processes: HISTORY_TEST_PLAY says which.
func TestMain(m *testing.M) {
	play, path := os.Getenv("HISTORY_TEST_PLAY"), os.Getenv("HISTORY_TEST_PATH")
	if play == "" {
		os.Exit(m.Run())
	}
	if err := map[string]func(string) error{"reader": playReader, "locker": playLocker}[play](path); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// playReader lists and asks until its input ends; what it sees may only grow.
func playReader(path string) error {
	stop := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	d, err := Open(path, Options{ReadOnly: true})
	if err != nil {
		return err
	}
	d.store.BePatient(60)
	defer d.Close()
	seen, rounds := 0, 0
	for last := false; ; {
		n := 0
		for _, err := range d.List(context.Background(), Filter{}) {
			if err != nil {
				return err
			}
			n++
		}
		if n < seen {
			return fmt.Errorf("%d logins after %d", n, seen)
		}
		seen = n
		m, err := d.Recall(context.Background(), login(1_000_000, "alice", "203.0.113.7", 1_000_000))
		if err != nil {
			return err
		}
		if m.Host.Count < seen || m.User != m.UserHost {
			return fmt.Errorf("%d logins, and then %+v", seen, m)
		}
		if rounds++; rounds == 1 {
			fmt.Println("reading")
		}
		if last {
			fmt.Println("saw", n)
			return nil
		}
		select {
		case <-stop:
			last = true
		default:
		}
	}
}

// playLocker keeps everybody from the file until its input ends.
func playLocker(path string) error {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	for _, q := range []string{"PRAGMA locking_mode = exclusive", "PRAGMA journal_mode = delete", "BEGIN EXCLUSIVE"} {
		if _, err := db.Exec(q); err != nil {
			return err
		}
	}
	fmt.Println("locked")
	io.Copy(io.Discard, os.Stdin)
	return nil
}

type player struct {
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Scanner
}

func start(t *testing.T, play, path string) *player {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "HISTORY_TEST_PLAY="+play, "HISTORY_TEST_PATH="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &player{cmd, in, bufio.NewScanner(out)}
	p.says(t)
	return p
}

func (p *player) says(t *testing.T) string {
	t.Helper()
	if !p.out.Scan() || strings.HasPrefix(p.out.Text(), "failed") {
		t.Fatalf("another process: %q", p.out.Text())
	}
	return p.out.Text()
}

func (p *player) stop(t *testing.T) {
	t.Helper()
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestTwoReadWhileOneWrites(t *testing.T) {
	standin.Gate(t)
	d := open(t, Options{})
	record(t, d, login(0, "alice", "203.0.113.7", 0))
	readers := []*player{start(t, "reader", d.store.Path()), start(t, "reader", d.store.Path())}
	const logins = 250
	for i := 1; i < logins; i++ {
		record(t, d, login(i, "alice", "203.0.113.7", i))
	}
	for _, r := range readers {
		r.in.Close()
		if got := r.says(t); got != fmt.Sprint("saw ", logins) {
			t.Error(got)
		}
		r.stop(t)
	}
}

func TestLockedByAnother(t *testing.T) {
	now := day0
	d := open(t, Options{Now: func() time.Time { return now }})
	record(t, d, login(0, "alice", "203.0.113.7", 0))
	d.Close()
	locker := start(t, "locker", d.store.Path())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	m, err := d.Recall(ctx, login(1, "alice", "203.0.113.7", 1))
	if err == nil || m.Known {
		t.Errorf("%+v, %v", m, err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := d.Record(ctx, login(1, "alice", "203.0.113.7", 1)); err == nil {
		t.Error("a locked file was written to")
	}
	// The next thousand do not wait in their turn, even with all the time in the world.
	for i := range 1000 {
		if _, err := d.Recall(t.Context(), login(i, "alice", "203.0.113.7", 1)); err == nil {
			t.Fatal("a locked file was read")
		}
	}
	locker.stop(t)
	now = now.Add(time.Minute)
	record(t, d, login(1, "alice", "203.0.113.7", 1))
	if m := recall(t, d, login(2, "alice", "203.0.113.7", 2)); m.User.Count != 2 {
		t.Errorf("%+v", m)
	}
	if n, err := d.store.Notice(t.Context()); n != nil || err != nil {
		t.Errorf("it was taken for damaged: %+v, %v", n, err)
	}
}
