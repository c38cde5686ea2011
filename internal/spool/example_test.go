package spool_test

import (
	"context"
	"fmt"
	"os"

	"github.com/sshnotify/sshnotify/internal/spool"
)

// A hook puts an event; the one worker claims it, reads it, and removes it once
// it is delivered.
func Example() {
	dir, err := os.MkdirTemp("", "spool")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	s := spool.Open(spool.Options{Dir: dir, UID: os.Getuid()})
	if _, err := s.Put("0123456789ABCDEFGHJKMNPQRS.json", []byte(`{"kind":"login"}`)); err != nil {
		panic(err)
	}
	q, err := s.Lock(context.Background(), false)
	if err != nil {
		panic(err)
	}
	defer q.Unlock()
	names, _, err := q.Claim(0)
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		data, err := q.Read(name)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s: %s\n", name, data)
		if err := q.Remove(name); err != nil {
			panic(err)
		}
	}
	// Output: 0123456789ABCDEFGHJKMNPQRS.json: {"kind":"login"}
}
