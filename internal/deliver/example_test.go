package deliver_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/store"
)

// printer is a destination that prints.
type printer struct{}

func (printer) Name() string           { return "printer" }
func (printer) Traits() channel.Traits { return channel.Traits{} }

func (printer) Send(_ context.Context, a event.Alert) (event.Receipt, error) {
	fmt.Println(a.Event.Kind, "of", a.Event.User)
	return nil, nil
}

// A worker delivers what waits in a spool, and ends when nothing does.
func Example() {
	dir, err := os.MkdirTemp("", "deliver")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	queue := spool.Open(spool.Options{Dir: filepath.Join(dir, "spool"), UID: os.Getuid()})
	e := event.Event{ID: event.NewID(), Kind: event.KindLogin, Time: time.Now(), Host: "db1", User: "alice", Service: "sshd", Via: event.ViaPAM}
	b, err := e.Encode()
	if err == nil {
		_, err = queue.Put(e.ID+".json", b)
	}
	if err != nil {
		panic(err)
	}
	db, err := store.Open(filepath.Join(dir, "state", store.FileName), store.Options{})
	if err != nil {
		panic(err)
	}
	err = deliver.Run(context.Background(), deliver.Job{
		Spool: queue, Store: db, StateDir: filepath.Join(dir, "state"),
		Load: func() (deliver.Settings, error) {
			return deliver.Settings{Targets: []deliver.Target{{Dest: printer{}}}}, nil
		},
		Log: slog.New(slog.DiscardHandler), Alarm: func(string) {},
	})
	fmt.Println(err)
	// Output:
	// login of alice
	// <nil>
}
