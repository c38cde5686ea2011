package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/journald"
	"github.com/sshnotify/sshnotify/internal/watch/line"
)

const testCursor = "s=0123456789abcdef0123456789abcdef;i=1;b=0123456789abcdef0123456789abcdef;m=1;t=5f5e100;x=1"

// TestEntries: what an entry gives of a line. Whose word it is, journald's tests
// hold.
func TestEntries(t *testing.T) {
	at := time.Date(2026, 11, 21, 2, 15, 4, 123456000, time.UTC)
	const sshd = `"SYSLOG_IDENTIFIER":"sshd","_COMM":"sshd","_EXE":"/usr/sbin/sshd","_TRANSPORT":"syslog","_UID":"0"`
	for _, row := range []struct {
		name  string
		entry string
		want  line.Line
		by    line.Entry
	}{
		{"a string", `"MESSAGE":"Failed password",` + sshd + `,"_PID":"812","SYSLOG_PID":"813","_HOSTNAME":"db1"`,
			line.Line{Text: "Failed password", Program: "sshd", PID: 812, Host: "db1"}, line.Entry{Daemon: "sshd", UID: "0", Exe: "/usr/sbin/sshd"}},
		{"bytes", `"MESSAGE":[104,105,255,0,33]`, line.Line{Text: "hi\xff\x00!"}, line.Entry{}},
		{"nothing", `"MESSAGE":null`, line.Line{}, line.Entry{}},
		{"no message", `"_COMM":"cron"`, line.Line{Program: "cron"}, line.Entry{}},
		{"several", `"MESSAGE":["one","two",[116,104],null]`, line.Line{Text: "one two th"}, line.Entry{}},
		{"neither bytes nor text", `"MESSAGE":[1.5,70000],"_PID":["1","2"]`, line.Line{}, line.Entry{}},
		{"nested too deep", `"MESSAGE":[[[104]]]`, line.Line{}, line.Entry{}},
		{"several lines", `"MESSAGE":"one\nFailed password\n"`, line.Line{Text: "one Failed password"}, line.Entry{}},
		{"a number for a string", `"MESSAGE":5,"SYSLOG_IDENTIFIER":{}`, line.Line{}, line.Entry{}},
		{"no pid of the kernel's", `"MESSAGE":"x","SYSLOG_PID":"813"`, line.Line{Text: "x", PID: 813}, line.Entry{}},
		{"a pid that is none", `"MESSAGE":"x","_PID":"-1","SYSLOG_PID":"99999999999"`, line.Line{Text: "x"}, line.Entry{}},
		{"too long", `"MESSAGE":"` + strings.Repeat("x", line.MaxText+1) + `"`, line.Line{Text: strings.Repeat("x", line.MaxText), Cut: true}, line.Entry{}},
		{"somebody in sshd's name", `"MESSAGE":"x","SYSLOG_IDENTIFIER":"/sshd","_COMM":"logger","_EXE":"/usr/bin/logger","_TRANSPORT":"syslog","_UID":"1000"`,
			line.Line{Text: "x", Program: "uid 1000 as sshd"}, line.Entry{Claim: "sshd", UID: "1000", Exe: "/usr/bin/logger"}},
		{"anybody else in any name", `"MESSAGE":"x","SYSLOG_IDENTIFIER":"myapp","_COMM":"python3","_UID":"1000"`,
			line.Line{Text: "x", Program: "myapp"}, line.Entry{UID: "1000"}},
	} {
		row.want.Source, row.want.Time, row.want.Entry = "journal", at, &row.by
		text := `{"__CURSOR":"` + testCursor + `","__REALTIME_TIMESTAMP":"` + fmt.Sprint(at.UnixMicro()) + `",` + row.entry + `}`
		got, cursor, err := new(journald.Reader).Line([]byte(text), "journal")
		if err != nil || cursor != testCursor {
			t.Errorf("%s: %v, cursor %q", row.name, err, cursor)
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
		if again, ok := new(Entries).Line(text, "journal"); !ok || cmp.Diff(got, again) != "" {
			t.Errorf("%s: as a line of a replay it is %v, %+v", row.name, ok, again)
		}
	}
	for _, bad := range []string{"", "null", "[]", "{}", `{"MESSAGE":"x"}`, `{"__CURSOR":"a b"}`, `{"__CURSOR":"--file=/etc/passwd"}`} {
		if _, ok := new(Entries).Line(bad, ""); ok {
			t.Errorf("%q was taken for an entry", bad)
		}
	}
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte(`{"__CURSOR":"` + testCursor + `","MESSAGE":"hi","_PID":"1","_UID":"0"}`))
	f.Add([]byte(`{"__CURSOR":"a","MESSAGE":[104,105,255]}`))
	f.Add([]byte(`{"__CURSOR":"a","MESSAGE":["one",[104]],"__REALTIME_TIMESTAMP":"17000000000"}`))
	f.Add([]byte(`{"__CURSOR":["a"],"MESSAGE":null,"SYSLOG_IDENTIFIER":"sshd","_UID":"7"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, cursor, err := new(journald.Reader).Line(b, "journal")
		if err != nil {
			return
		}
		if strings.ContainsRune(l.Text, '\n') || len(l.Text) > line.MaxText || l.PID < 0 || l.Source != "journal" {
			t.Errorf("%q gave %+v at %q", b, l, cursor)
		}
	})
}

// pretend puts a program in journalctl's place: a shell script, to which its
// arguments are written in a file.
func pretend(t *testing.T, script string) (program, calls string) {
	t.Helper()
	dir := t.TempDir()
	program, calls = filepath.Join(dir, "journalctl"), filepath.Join(dir, "calls")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\" >>"+calls+"\ncd "+dir+"\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return program, calls
}

func cursorOf(n int) string { return fmt.Sprintf("s=a;i=%x;b=b;m=%x;t=%x;x=%x", n, n, 1e6+n, n) }

func entryJSON(n int) string {
	return fmt.Sprintf(`{"__CURSOR":"%s","MESSAGE":"line %d"}`, cursorOf(n), n)
}

func (b *bench) openJournal(program string) {
	b.t.Helper()
	b.opt.Journalctl, b.opt.Path = program, ""
	src, err := OpenJournal(b.opt)
	if err != nil {
		b.t.Fatal(err)
	}
	b.src = src
}

// TestJournalGoesOn: journalctl ends and is started again, with the cursor of
// the last entry, which is not given twice.
func TestJournalGoesOn(t *testing.T) {
	b := newBench(t)
	b.opt.Matches = []string{"_COMM=sshd", "+", "_COMM=vsftpd"}
	program, calls := pretend(t, `if [ -e second ]; then
printf '%s\n' '`+entryJSON(2)+`' '`+entryJSON(3)+`'; sleep 60
else
touch second; printf '%s\n' 'no entry' '`+entryJSON(1)+`' '`+entryJSON(2)+`'
fi`)
	b.openJournal(program)
	b.take(3)
	b.stop()
	b.want(numbers(1, 3)...)
	b.openJournal(program)
	b.read(t.Context()) // 2 again, which is known by its key; not 3
	b.want(numbers(1, 3)...)
	said, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	const common = "--output=json --all --no-pager --output-fields=" + journald.Fields + " --follow --no-tail "
	const matches = " -- _COMM=sshd + _COMM=vsftpd"
	for i, want := range []string{common + "--since=@", common + "--cursor=" + cursorOf(2) + matches, common + "--cursor=" + cursorOf(3) + matches} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("call %d of %q is not %q", i, lines, want)
		}
	}
}

// TestJournalThatRefuses: an old journalctl does not know an option, and none
// knows a cursor of a journal that is gone.
func TestJournalThatRefuses(t *testing.T) {
	b := newBench(t)
	program, calls := pretend(t, `case "$*" in *--output-fields*|*--cursor*) echo "unrecognised" >&2; exit 1;; esac
printf '%s\n' '`+entryJSON(1)+`'; sleep 60`)
	b.openJournal(program)
	b.take(1)
	b.stop()
	b.openJournal(program)
	b.until2("the refusal to be told", func(st Status) bool { return st.Err == "unrecognised" })
	waitFor(t, "a call by time", func() bool {
		said, _ := os.ReadFile(calls)
		return strings.HasSuffix(strings.TrimSpace(string(said)), "--no-tail --since=@1.000001 --")
	}, func() string { return b.said.String() })
}

// until2 waits for a status.
func (b *bench) until2(what string, cond func(Status) bool) {
	b.t.Helper()
	waitFor(b.t, what, func() bool { return cond(b.src.Status()) }, func() string { return fmt.Sprintf("%+v", b.src.Status()) })
}

// TestJournalIsKilled with all that it started.
func TestJournalIsKilled(t *testing.T) {
	b := newBench(t)
	program, _ := pretend(t, `sleep 600 & echo $! >child; printf '%s\n' '`+entryJSON(1)+`'; wait`)
	b.openJournal(program)
	b.take(1)
	child, err := os.ReadFile(filepath.Join(filepath.Dir(program), "child"))
	if err != nil {
		t.Fatal(err)
	}
	b.stop()
	waitForEnd(t, child)
	if _, err := b.src.Read(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("Read after Close gave %v", err)
	}
}

func waitForEnd(t *testing.T, number []byte) {
	t.Helper()
	var pid int
	if _, err := fmt.Sscan(string(number), &pid); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the child's end", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || err == nil && strings.Contains(string(stat), ") Z ")
	}, func() string { return "it is alive" })
}

// TestJournalDiesWithItsReader, however that ends.
func TestJournalDiesWithItsReader(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere journalctl ends when it writes next")
	}
	program, _ := pretend(t, `echo $$ >child; printf '%s\n' '`+entryJSON(1)+`'; exec sleep 600`)
	dir := filepath.Dir(program)
	settings, err := json.Marshal(map[string]string{"Journalctl": program, "StateDir": dir, "Out": filepath.Join(dir, "out")})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperVar+"="+string(settings))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the first entry", func() bool {
		out, _ := os.ReadFile(filepath.Join(dir, "out"))
		return len(out) > 0
	}, func() string { return "none" })
	cmd.Process.Kill()
	cmd.Wait()
	child, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	waitForEnd(t, child)
}

func TestNoJournalctl(t *testing.T) {
	if _, err := OpenJournal(Options{Journalctl: "no-such-journalctl"}); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestLongEntry(t *testing.T) {
	b := newBench(t)
	program, _ := pretend(t, `printf '{"__CURSOR":"a","MESSAGE":"'; head -c 5000000 /dev/zero | tr '\0' x; echo '"}'
printf '%s\n' '`+entryJSON(1)+`'; sleep 60`)
	b.openJournal(program)
	b.take(1)
	b.want("line 1")
}

// TestRealJournal reads a journal that was made of entries, with the host's own
// journalctl.
func TestRealJournal(t *testing.T) {
	const remote = "/lib/systemd/systemd-journal-remote"
	for _, tool := range []string{"journalctl", remote} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	file := filepath.Join(t.TempDir(), "system.journal")
	base := time.Now().Add(-time.Minute)
	add := func(from, to int) {
		var export strings.Builder
		for i := from; i <= to; i++ {
			fmt.Fprintf(&export, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=0123456789abcdef0123456789abcdef\n"+
				"_COMM=%s\n_UID=0\n_PID=812\n_HOSTNAME=db1\nSYSLOG_IDENTIFIER=sshd\nMESSAGE=line %d\n\n",
				base.Add(time.Duration(i)*time.Second).UnixMicro(), i*1000, []string{"sshd", "sshd-session"}[i%2], i)
		}
		cmd := exec.Command(remote, "-o", file, "-")
		cmd.Stdin = strings.NewReader(export.String())
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("no journal was made: %v: %s", err, said)
		}
	}
	add(1, 4)
	b := newBench(t)
	b.opt.JournalArgs = []string{"--file=" + file}
	b.opt.Matches = []string{"_COMM=sshd", "+", "_COMM=sshd-session"}
	b.opt.FromStart = true
	b.openJournal("")
	b.take(4)
	b.stop()
	add(5, 6)
	b.openJournal("")
	b.take(2)
	b.want(numbers(1, 6)...)
	b.stop()

	b.opt.Once = true
	b.openJournal("")
	texts, _ := all(t, b.src)
	if diff := cmp.Diff(numbers(1, 6), texts); diff != "" {
		t.Error(diff)
	}

	// From now on is nothing of what there is.
	b.opt.Once, b.opt.FromStart, b.opt.StateDir = false, false, ""
	b.openJournal("")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if batch, err := b.src.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v came of the past", batch.Lines, err)
	}
}
