package spool

import (
	"fmt"
	"os"
	"testing"

	"github.com/sshnotify/sshnotify/internal/event"
)

// An event of a login is some 600 bytes.
var sampleEvent = make([]byte, 600)

func BenchmarkPut(b *testing.B) {
	s := Open(Options{Dir: b.TempDir()})
	for i := 0; b.Loop(); i++ {
		name := event.NewID() + ".json"
		if _, err := s.Put(name, sampleEvent); err != nil {
			b.Fatal(err)
		}
		if i%1000 == 999 { // waiting events are the other benchmark's
			b.StopTimer()
			if err := os.RemoveAll(s.WatchDirs()[0]); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	}
}

func BenchmarkPutWith10000Waiting(b *testing.B) {
	s := Open(Options{Dir: b.TempDir()})
	fillNew(b, s, 10_000, 600)
	for b.Loop() {
		name := event.NewID() + ".json"
		if _, err := s.Put(name, sampleEvent); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		unlinkNew(b, s, name)
		b.StartTimer()
	}
}

// BenchmarkCheckRoom is the part of Put that grows with what waits.
func BenchmarkCheckRoom(b *testing.B) {
	for _, n := range []int{0, 1000, 10_000, 99_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := Open(Options{Dir: b.TempDir()})
			fillNew(b, s, n, 0)
			root, err := s.openDir()
			if err != nil {
				b.Fatal(err)
			}
			defer root.close()
			ready, err := s.sub(root, newName)
			if err != nil {
				b.Fatal(err)
			}
			defer ready.close()
			tmp, err := s.sub(root, tmpName)
			if err != nil {
				b.Fatal(err)
			}
			defer tmp.close()
			for b.Loop() {
				if err := s.checkCapacity(root, tmp, ready, s.limit, 600); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBusy(b *testing.B) {
	s := Open(Options{Dir: b.TempDir()})
	q, err := s.Lock(b.Context(), false)
	if err != nil {
		b.Fatal(err)
	}
	defer q.Unlock()
	for b.Loop() {
		if !s.Busy() {
			b.Fatal("not busy")
		}
	}
}
