// Command release makes what a release consists of besides the program: man
// pages, completions, licences, and packages without goreleaser. It owns
// build/ and reads goreleaser.yaml, so that nothing stands in two places. It
// must never be part of the program, and never reach a network but through the
// Go tool.
//
//	go run ./tools/release files   [--release 1.2.3]
//	go run ./tools/release package [--release 1.2.3] [--format deb,rpm] [--arch amd64]
//
// It is run in the top folder. Dates are SOURCE_DATE_EPOCH's, else those of
// the last commit, so that two builds give the same bytes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

// The folder that all is written to, beside goreleaser's dist.
const outDir = "build"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("files or package?")
	}
	var b build
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	flags.StringVar(&b.release, "release", "", "the version, a semantic one without v; default: that of the commit's tag (v1.2.3), else 0.0.0-dev")
	format, arch, nfpm := "deb", "amd64", ""
	if args[0] == "package" {
		flags.StringVar(&format, "format", format, "of deb, rpm, apk and archlinux, with commas between")
		flags.StringVar(&arch, "arch", arch, "as GOARCH, and arm7 for GOARM=7")
		flags.StringVar(&nfpm, "nfpm", nfpm, "a built nfpm; without, go run builds it")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q: not expected", flags.Arg(0))
	}
	if b.release == "" {
		b.release = taggedRelease(ctx)
	}
	var err error
	if b.date, err = sourceDate(ctx); err != nil {
		return err
	}
	switch args[0] {
	case "files":
		return b.files(ctx, outDir)
	case "package":
		if err := b.files(ctx, outDir); err != nil {
			return err
		}
		return b.pack(ctx, outDir, strings.Split(format, ","), arch, nfpm)
	}
	return fmt.Errorf("%q: files or package?", args[0])
}
