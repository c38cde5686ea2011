package channel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
)

// JournalType is the channel's name in the settings.
const JournalType = "journal"

// Journal are the settings of the host's journal.
type Journal struct {
	Socket string `toml:"socket" check:"path" doc:"the journal's socket, by default /run/systemd/journal/socket; that of a namespace is /run/systemd/journal.NAME/socket"`
}

// Words say that a journal entry has a headline alone.
func (s *Journal) Words() (headline, text bool) { return true, false }

// Open returns the journal: an entry an alert, and one for each row of a digest,
// with the fields of the type log as SSHNOTIFY_REF and so on.
func (s *Journal) Open(name string, _ Env) (Channel, error) {
	j := &journal{name, s.Socket}
	if j.socket == "" {
		j.socket = "/run/systemd/journal/socket"
	}
	return j, nil
}

type journal struct{ name, socket string }

func (j *journal) Name() string { return j.name }

// Traits are the zero ones: a log takes everything.
func (j *journal) Traits() Traits { return Traits{} }

// journalTimeout is the most that a journal that reads nothing may hold up the
// worker.
const journalTimeout = 2 * time.Second

// Send writes the alert's entries.
func (j *journal) Send(ctx context.Context, a event.Alert) (event.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return nil, &Error{Class: Again, Err: err}
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: j.socket, Net: "unixgram"})
	if err != nil {
		return nil, j.failed(err, false)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(journalTimeout))
	for i, line := range logLines(a) {
		if _, err := conn.Write(journalEntry(a, line)); err != nil {
			return nil, j.failed(err, i > 0)
		}
	}
	return nil, nil
}

func (j *journal) failed(err error, sent bool) *Error {
	e := &Error{Class: Again, Sent: sent, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Hint = `there is no journal here: systemctl status systemd-journald; on a host without systemd use type = "log"`
	case errors.Is(err, fs.ErrPermission):
		e.Hint = "the worker's user may not write to " + j.socket
	}
	return e
}

// messageIDOf is the journal's MESSAGE_ID of a kind
// (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/): journalctl MESSAGE_ID=… shows
// all entries of it.
func messageIDOf(k event.Kind) string {
	switch k {
	case event.KindLogin:
		return "3044d8f17e254ced9a6ab77f49c8840d"
	case event.KindLogout:
		return "53a89d7b328641dcb4a8056db1c4cf5d"
	case event.KindAttack:
		return "196fa35daad94eeb9ff076bbda3d0688"
	case event.KindMatch:
		return "bd5fec7ebf3c4e378bb49fb06844e1e0"
	case event.KindAlert:
		return "6506288374bd48328c7a8a0e835db277"
	case event.KindDigest:
		return "1a231643f8554f9dbf79affce3dd4f8f"
	case event.KindWitness:
		return "20a7206912ad4e7e907f4b79b3051c92"
	}
	return ""
}

// journalEntry writes a line in the journal's native protocol
// (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/). Each value has its length before
// it, so that none can begin another field.
func journalEntry(a event.Alert, line logLine) []byte {
	var b bytes.Buffer
	add := func(key, value string) {
		if value == "" {
			return
		}
		b.WriteString(key + "\n")
		b.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(value))))
		b.WriteString(value + "\n")
	}
	msg := line.String() // of a digest's row
	for _, f := range line.fields {
		if f.key == "msg" {
			msg = f.value
		}
	}
	const authpriv = 10
	add("MESSAGE", event.Clean(msg, 6*len(msg)))
	add("PRIORITY", strconv.Itoa(int(line.priority)))
	add("SYSLOG_IDENTIFIER", "sshnotify")
	add("SYSLOG_FACILITY", strconv.Itoa(authpriv))
	add("MESSAGE_ID", messageIDOf(a.Event.Kind))
	add("SSHNOTIFY_ID", a.ID)
	for _, f := range line.fields {
		if f.key != "msg" {
			add("SSHNOTIFY_"+strings.ToUpper(f.key), event.Clean(f.value, 6*len(f.value)))
		}
	}
	return b.Bytes()
}

// Checks look whether the journal's socket is there.
func (j *journal) Checks() []doctor.Check {
	return []doctor.Check{{Run: func(_ context.Context, r *doctor.Report) {
		name := "journal " + j.name
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: j.socket, Net: "unixgram"})
		if err != nil {
			e := j.failed(err, false)
			r.Fail(name, e.Hint, "%v", err)
			return
		}
		conn.Close()
		r.OK(name, "%s takes entries: journalctl SYSLOG_IDENTIFIER=sshnotify", j.socket)
	}}}
}
