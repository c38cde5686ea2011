package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sshnotify/sshnotify/internal/store"
)

func Example() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	db, err := store.Open(filepath.Join(dir, store.FileName), store.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	ctx := context.Background()
	err = db.Write(ctx, store.WriteLimit, func(t *store.Tx) error {
		_, err := t.Exec(`INSERT INTO state(kind, name, value) VALUES ('destination', 'slack', '{}')`)
		return err
	})
	if err != nil {
		fmt.Println("not kept, which stops no delivery:", err)
	}
	var n int
	err = db.Read(ctx, store.ReadLimit, func(t *store.Tx) error {
		_, err := t.One([]any{&n}, `SELECT count(*) FROM state`)
		return err
	})
	fmt.Println(n, err)
	// Output: 1 <nil>
}
