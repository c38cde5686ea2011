package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// nfpmModule is run where no built nfpm is named. Newer ones need a module
// that is not served.
const nfpmModule = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0"

// goreleaserOnly are the keys of an nfpms entry that nfpm itself does not
// know, or that have another name there.
var goreleaserOnly = []string{"id", "ids", "formats", "file_name_template", "package_name", "bindir", "mtime", "dependencies"}

// pack builds the packages of some formats into dir, from goreleaser.yaml, without
// goreleaser.
func (b build) pack(ctx context.Context, dir string, formats []string, arch, nfpm string) error {
	text, err := os.ReadFile("goreleaser.yaml")
	if err != nil {
		return err
	}
	all, err := b.nfpmSettings(text, filepath.Join(dir, "linux_"+arch), arch)
	if err != nil {
		return fmt.Errorf("goreleaser.yaml: %w", err)
	}
	for _, f := range formats {
		if !slices.ContainsFunc(all, func(p pkg) bool { return slices.Contains(p.formats, f) }) {
			return fmt.Errorf("%q is none of the formats of goreleaser.yaml", f)
		}
	}
	goarch, goarm := arch, ""
	if v, ok := strings.CutPrefix(arch, "arm"); ok && v != "64" {
		goarch, goarm = "arm", v
	}
	for _, p := range all {
		theirs := slices.DeleteFunc(slices.Clone(formats), func(f string) bool { return !slices.Contains(p.formats, f) })
		if len(theirs) == 0 {
			continue
		}
		for to, main := range p.programs {
			if err := b.compile(ctx, to, main, "linux", goarch, goarm); err != nil {
				return err
			}
		}
		file := filepath.Join(dir, p.name+".yaml")
		if err := write(file, p.settings); err != nil {
			return err
		}
		words := []string{"go", "run", nfpmModule}
		if nfpm != "" {
			words = []string{nfpm}
		}
		words = append(words, "package", "--config", file, "--target", dir, "--packager")
		for _, format := range theirs {
			cmd := exec.CommandContext(ctx, words[0], append(words[1:], format)...)
			cmd.Env = append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", b.date.Unix()))
			cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
			if err := cmd.Run(); err != nil {
				return err
			}
		}
	}
	return nil
}

// pkg is an entry of nfpms.
type pkg struct {
	name     string
	formats  []string
	settings []byte            // nfpm's, of one architecture
	programs map[string]string // what is to be built → of which main package
}

// nfpmSettings makes nfpm's settings (nfpm.goreleaser.com/configuration) of
// goreleaser's: an nfpms entry is nfpm's file, but for a few names, and
// without the programs, which goreleaser adds. Those are to be built below dir.
func (b build) nfpmSettings(goreleaser []byte, dir, arch string) (packages []pkg, err error) {
	var all struct {
		Builds []struct{ ID, Main, Binary string }
		NFPMs  []map[string]any `yaml:"nfpms"`
	}
	if err := yaml.Unmarshal(goreleaser, &all); err != nil {
		return nil, err
	}
	if len(all.NFPMs) == 0 {
		return nil, errors.New("no entry of nfpms")
	}
	for _, from := range all.NFPMs {
		name, _ := from["package_name"].(string)
		bin, _ := from["bindir"].(string)
		contents, _ := from["contents"].([]any)
		ids, _ := from["ids"].([]any)
		if name == "" || bin == "" || len(contents) == 0 {
			return nil, errors.New("nfpms: package_name, bindir and contents are needed")
		}
		p := pkg{name: name, programs: map[string]string{}}
		formats, _ := from["formats"].([]any)
		for _, f := range formats {
			p.formats = append(p.formats, fmt.Sprint(f))
		}
		for _, one := range all.Builds {
			if slices.Contains(ids, any(one.ID)) {
				program := filepath.Join(dir, one.Binary)
				p.programs[program] = one.Main
				contents = append(contents, map[string]any{
					"src": program, "dst": bin + "/" + one.Binary, "file_info": map[string]any{"mode": 0o755},
				})
			}
		}
		to := map[string]any{
			"name": name, "arch": arch, "platform": "linux", "version": b.release,
			"mtime": b.date.Format(time.RFC3339), "contents": contents,
		}
		for k, v := range from {
			if _, set := to[k]; !set && !slices.Contains(goreleaserOnly, k) {
				to[k] = v
			}
		}
		renameDependencies(from, to)
		overrides, _ := from["overrides"].(map[string]any)
		for _, o := range overrides {
			if o, ok := o.(map[string]any); ok {
				renameDependencies(o, o)
			}
		}
		out, err := yaml.Marshal(to)
		if err != nil {
			return nil, err
		}
		if strings.Contains(string(out), "{{") {
			return nil, errors.New("nfpms: a template is left that only goreleaser knows")
		}
		p.settings = append([]byte("# Made of goreleaser.yaml by tools/release.\n"), out...)
		packages = append(packages, p)
	}
	return packages, nil
}

// renameDependencies has what goreleaser calls dependencies and nfpm depends.
func renameDependencies(from, to map[string]any) {
	if d, ok := from["dependencies"]; ok {
		delete(to, "dependencies")
		to["depends"] = d
	}
}
