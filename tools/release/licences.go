package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// thirdPartyLicences is the text of every licence of what the programs are
// linked with, which most of them ask to be handed on with a binary.
func thirdPartyLicences(ctx context.Context) ([]byte, error) {
	// -mod=mod is not needed: what is linked is what go.mod names.
	out, err := output(exec.CommandContext(ctx, "go", "list", "-deps",
		"-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}{{end}}", "./cmd/sshnotify", "./cmd/sshnotify-nats"))
	if err != nil {
		return nil, err
	}
	modules := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(modules)
	modules = slices.DeleteFunc(slices.Compact(modules), func(s string) bool { return s == "" })
	root, err := output(exec.CommandContext(ctx, "go", "env", "GOROOT"))
	if err != nil {
		return nil, err
	}
	modules = append(modules, "Go's standard library\t"+strings.TrimSpace(string(root)))
	var b bytes.Buffer
	b.WriteString("sshnotify, or sshnotify-nats alone, is linked with what follows, each under its own\nlicence.\n")
	for _, m := range modules {
		name, dir, _ := strings.Cut(m, "\t")
		texts, err := licenceFiles(dir)
		if err != nil {
			return nil, err
		}
		if len(texts) == 0 {
			return nil, fmt.Errorf("%s: no licence in %s", name, dir)
		}
		fmt.Fprintf(&b, "\n%s\n%s\n", strings.Repeat("=", 72), name)
		for _, file := range texts {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
			fmt.Fprintf(&b, "\n--- %s\n\n%s\n", filepath.Base(file), bytes.TrimRight(text, "\n"))
		}
	}
	return b.Bytes(), nil
}

func licenceFiles(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		base := strings.ToUpper(e.Name())
		for _, start := range []string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS"} {
			if strings.HasPrefix(base, start) && e.Type().IsRegular() {
				names = append(names, filepath.Join(dir, e.Name()))
				break
			}
		}
	}
	return names, err
}
