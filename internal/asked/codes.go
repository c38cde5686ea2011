package asked

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	"golang.org/x/time/rate"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/peer"
	"github.com/sshnotify/sshnotify/internal/store"
)

// SocketName is the socket in the worker's state folder at which it takes codes, from
// everybody of the host: whose session somebody is in, the kernel says.
const SocketName = "confirm.sock"

const (
	typers      = 8 // who are answered at a time
	typeTimeout = 10 * time.Second
	maxTyped    = 256 // bytes of a code with what is around it, and of the answer
	// perUser is how often one user may type a code, and typedAtOnce how often in a row.
	perUser     = 10 * time.Second
	typedAtOnce = 6
	maxUsers    = 1000
)

// typed is what a program says at the socket.
type typed struct {
	Code string `json:"code"`
}

// Reply is what became of a code, and how many tries are left.
type Reply struct {
	Became Typing `json:"became"`
	Left   int    `json:"left,omitempty"`
}

// Codes takes the codes that people type in their sessions on this host.
type Codes struct {
	Dir  string // the worker's state folder, which others may enter
	DB   *store.DB
	Host login.Host
	Log  *slog.Logger
	// Take gets a code, and in which login's session it was typed.
	Take func(ctx context.Context, in *deliver.Delivered, number string) Reply
}

// Serve takes codes until ctx ends.
func (c Codes) Serve(ctx context.Context) {
	l, err := peer.Listen(c.Dir, SocketName, peer.Everyone)
	if err != nil {
		c.Log.Warn("nobody can confirm a login by a code", "error", err)
		return
	}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	room := make(chan struct{}, typers)
	defer func() { // what was begun ends
		for range typers {
			room <- struct{}{}
		}
	}()
	users := map[int]*rate.Limiter{}
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			c.Log.Error("nobody can confirm a login by a code", "error", err)
			select { // it may be that too many files are open
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		who, err := peer.Of(conn)
		if users[who.UID] == nil {
			if len(users) >= maxUsers {
				clear(users)
			}
			users[who.UID] = rate.NewLimiter(rate.Every(perUser), typedAtOnce)
		}
		if err != nil || !users[who.UID].Allow() {
			reply(conn, Reply{Became: TooOften})
			conn.Close()
			continue
		}
		room <- struct{}{}
		go func() {
			defer func() { <-room }()
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
			c.answer(ctx, conn, who.PID)
		}()
	}
}

func reply(conn *net.UnixConn, r Reply) {
	conn.SetDeadline(time.Now().Add(typeTimeout))
	_ = json.NewEncoder(conn).Encode(r) // whoever asked may be gone
}

func (c Codes) answer(ctx context.Context, conn *net.UnixConn, pid int) {
	conn.SetDeadline(time.Now().Add(typeTimeout))
	// Before it says anything: it may end, and its number be another's.
	connections := c.Host.Connections(pid)
	started, err := c.Host.Started(time.Now())
	if err != nil {
		c.Log.Warn("whose session a code was typed in can't be looked up", "error", err)
		reply(conn, Reply{Became: Failed})
		return
	}
	var t typed
	if err := json.NewDecoder(io.LimitReader(conn, maxTyped)).Decode(&t); err != nil {
		return
	}
	if !ValidCode(t.Code) {
		reply(conn, Reply{Became: NotWanted})
		return
	}
	in, known, err := deliver.LoginOn(ctx, c.DB, connections, started)
	switch {
	case err != nil:
		c.Log.Warn("whose session a code was typed in can't be looked up", "error", err)
		reply(conn, Reply{Became: Failed})
	case !known:
		reply(conn, Reply{Became: NoLogin})
	default:
		reply(conn, c.Take(ctx, in, t.Code))
	}
}

// ValidCode reports whether a code has the form of one.
func ValidCode(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(s) == codeDigits
}

// ForHub returns the Take of a host that hands over: the hub knows what it waits for.
func ForHub(host func() string, tell deliver.Tell, log *slog.Logger) func(context.Context, *deliver.Delivered, string) Reply {
	return func(ctx context.Context, in *deliver.Delivered, number string) Reply {
		n := message.Typed(event.Ref(in.ID), number)
		err := tell(ctx, event.Event{
			ID: event.NewID(), Kind: event.KindAlert, Time: time.Now(), Host: host(), User: in.User, Via: event.ViaSelf, Session: in.Session, Alert: &n,
		})
		if err != nil {
			log.Warn("a code can't be handed over", "error", err)
			return Reply{Became: Failed}
		}
		return Reply{Became: Passed}
	}
}

// Type gives a code to the worker of a state folder, which has to be owner's.
func Type(ctx context.Context, dir string, owner int, number string) (r Reply, err error) {
	conn, err := peer.Dial(ctx, dir, SocketName, owner)
	if err != nil {
		return r, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	// Whoever is refused is answered before anything is read, and then can't write.
	wrote := json.NewEncoder(conn).Encode(typed{number})
	if err := json.NewDecoder(io.LimitReader(conn, maxTyped)).Decode(&r); err != nil {
		return Reply{}, errors.Join(wrote, err)
	}
	return r, nil
}
