package history_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/sshnotify/sshnotify/internal/history"
)

func Example() {
	dir, err := os.MkdirTemp("", "history")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	h, err := history.Open(filepath.Join(dir, "history.db"), history.Options{})
	if err != nil {
		panic(err)
	}
	defer h.Close()
	ctx := context.Background()
	monday := history.Entry{
		ID: "monday", Time: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), Host: "db1", User: "alice",
		IP: netip.MustParseAddr("203.0.113.7"), Source: history.SourceSeen,
	}
	if err := h.Record(ctx, monday); err != nil {
		fmt.Println("not remembered, which stops no delivery:", err)
	}
	tuesday := monday
	tuesday.ID, tuesday.Time, tuesday.IP = "tuesday", monday.Time.AddDate(0, 0, 1), netip.MustParseAddr("203.0.113.99")
	m, err := h.Recall(ctx, tuesday)
	fmt.Println(m.User.Count, m.Address.Count, m.Network.Count, err)
	// Output: 1 0 1 <nil>
}
