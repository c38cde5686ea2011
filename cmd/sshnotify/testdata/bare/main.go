// Command bare makes one durable file, as a hook must, and does nothing else: no
// Go program that does the same can be faster. BenchmarkLogin holds the hook
// against it.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := put(os.Args[1], []byte(os.Getenv("PAM_USER")+"\n")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func put(dir string, data []byte) error {
	f, err := os.CreateTemp(filepath.Join(dir, "tmp"), "")
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, "new", filepath.Base(f.Name()))); err != nil {
		return err
	}
	d, err := os.Open(filepath.Join(dir, "new"))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
