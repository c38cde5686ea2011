package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/peer"
)

// SocketName is the socket in the worker's state folder at which it says whether a
// login is usual. The memory is the worker's, and nobody else reads it: root would
// have to in a folder that is not its own.
const SocketName = "judge.sock"

// maxQuestion is more than an event or an opinion has.
const maxQuestion = event.MaxSize + 4<<10

// Listen makes the socket anew.
func Listen(dir string) (*net.UnixListener, error) { return peer.Listen(dir, SocketName, peer.Owner) }

// askers is how many are answered at a time; more wait, and are asked for a code
// where that takes too long.
const askers = 16

// Serve answers root's questions until ctx ends. The kernel says who asks.
func Serve(ctx context.Context, l *net.UnixListener, log *slog.Logger, judge func(context.Context, event.Event) (Opinion, error)) {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	room := make(chan struct{}, askers)
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			log.Error("nobody is told whether a login is usual", "error", err)
			select { // it may be that too many files are open
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		room <- struct{}{}
		go func() {
			defer func() { <-room }()
			defer c.Close()
			if err := answer(ctx, c, judge); err != nil {
				log.Warn("whether a login is usual could not be said", "error", err)
			}
		}()
	}
}

// answerTimeout is how long a question may take; the gate waits less.
const answerTimeout = 10 * time.Second

func answer(ctx context.Context, c *net.UnixConn, judge func(context.Context, event.Event) (Opinion, error)) error {
	c.SetDeadline(time.Now().Add(answerTimeout))
	who, err := peer.Of(c)
	if err != nil || who.UID != 0 && who.UID != os.Geteuid() {
		return fmt.Errorf("uid %d asks, who may not: %w", who.UID, err)
	}
	var e event.Event
	if err := json.NewDecoder(io.LimitReader(c, maxQuestion)).Decode(&e); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	o, err := judge(ctx, e)
	if err != nil {
		return err // and no answer, which means: ask for a code
	}
	return json.NewEncoder(c).Encode(o)
}

// Question asks the worker of a state folder, which has to be owner's. In doubt it
// returns an error.
func Question(ctx context.Context, dir string, owner int, e event.Event) (Opinion, error) {
	conn, err := peer.Dial(ctx, dir, SocketName, owner)
	if err != nil {
		return Opinion{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := json.NewEncoder(conn).Encode(e); err != nil {
		return Opinion{}, err
	}
	return readOpinion(conn)
}

// readOpinion reads what a worker says. One that says nothing knows nothing.
func readOpinion(r io.Reader) (Opinion, error) {
	o := Opinion{Score: -1}
	err := json.NewDecoder(io.LimitReader(r, maxQuestion)).Decode(&o)
	return o, err
}
