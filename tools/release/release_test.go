package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// made is the folder that files wrote, once for all tests.
var made string

// TestMain builds the programs and all that packages hold, which takes a
// minute. So these tests are end-to-end tests: set SSHNOTIFY_E2E.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("SSHNOTIFY_E2E") == "" && os.Getenv("SSHNOTIFY_GUEST") == "" {
		fmt.Println("skipped: set SSHNOTIFY_E2E=1")
		return
	}
	// The commands are run in the top folder.
	if err := os.Chdir("../.."); err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "release")
	if err != nil {
		log.Fatal(err)
	}
	made = filepath.Join(dir, "build")
	if err := trial.files(context.Background(), made); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

var trial = build{release: "1.2.3", date: time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC)}

func unzip(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if !z.ModTime.IsZero() || z.Name != "" {
		t.Errorf("%s: bears a time or a name", name)
	}
	return string(text)
}

// The commands of the contract that are sure to stay; every page there is has
// to be whole.
func TestEveryCommandHasAPage(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(made, "man", "*.1.gz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sshnotify", "sshnotify-hook", "sshnotify-deliver", "sshnotify-queue", "sshnotify-queue-retry", "sshnotify-config-check", "sshnotify-version"} {
		if !slices.Contains(pages, filepath.Join(made, "man", name+".1.gz")) {
			t.Errorf("no page for %s", name)
		}
	}
	// What the parent lists, it has a page for.
	listed := regexp.MustCompile(`(?m)^\\fB(sshnotify\S*)\(1\)\\fR$`)
	for _, file := range pages {
		text := unzip(t, file)
		name := strings.TrimSuffix(filepath.Base(file), ".1.gz")
		for _, part := range []string{
			".TH \"" + strings.ToUpper(strings.ReplaceAll(name, "-", `\-`)) + "\" 1 \"2026\\-11\\-21\" \"sshnotify 1.2.3\"",
			".SH NAME\n", ".SH SYNOPSIS\n", ".SH DESCRIPTION\n", `.SH "OPTIONS"` + "\n", ".SH EXIT STATUS\n.TP\n\\fB0\\fR\n", ".SH EXAMPLES\n",
		} {
			if part == ".SH EXAMPLES\n" && strings.Contains(text, ".SH COMMANDS\n") {
				continue // its commands have them
			}
			if !strings.Contains(text, part) {
				t.Errorf("%s: no %q", name, part)
			}
		}
		for _, m := range listed.FindAllStringSubmatch(text, -1) {
			page := strings.ReplaceAll(m[1], `\-`, "-")
			if !slices.Contains(pages, filepath.Join(made, "man", page+".1.gz")) {
				t.Errorf("%s: lists %s, which has no page", name, page)
			}
		}
		// Whoever builds it: no path of this machine's.
		for _, s := range []string{os.TempDir(), "/root/", "/home/"} {
			if strings.Contains(text, s) {
				t.Errorf("%s: names %s", name, s)
			}
		}
	}
}

func TestManReadsThem(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("no groff")
	}
	pages, _ := filepath.Glob(filepath.Join(made, "man", "*.gz"))
	if !slices.Contains(pages, filepath.Join(made, "man", "sshnotify.toml.5.gz")) {
		t.Error("no page of the settings")
	}
	var all []byte
	for _, p := range pages {
		all = append(all, unzip(t, p)...)
	}
	cmd := exec.Command(groff, "-man", "-Tutf8", "-Kutf8", "-ww", "-b", "-z")
	cmd.Stdin = bytes.NewReader(all)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("groff: %v\n%s", err, out)
	}
}

func TestCompletions(t *testing.T) {
	for file, want := range map[string]string{
		"sshnotify.bash": "complete -o default",
		"_sshnotify":     "#compdef sshnotify\n",
		"sshnotify.fish": "complete -c sshnotify",
	} {
		text, err := os.ReadFile(filepath.Join(made, "completions", file))
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(string(text), want) {
			t.Errorf("%s: no %q", file, want)
		}
	}
}

func TestThirdPartyLicences(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(made, "third-party-licences.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\ngithub.com/nats-io/nats.go v", "\ngithub.com/spf13/cobra v", "Apache License", "\ngithub.com/hashicorp/go-cleanhttp v", "Mozilla Public License", "\nGo's standard library\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q", want)
		}
	}
	// It is for what is in the program, not for what tests and this generator use.
	for _, not := range []string{"go-cmp", "goleak", "yaml", "nats-server"} {
		if regexp.MustCompile(`(?m)^\S*` + not + `\S* v\d`).Match(text) {
			t.Errorf("names %s, which is not in the program", not)
		}
	}
}

func TestDebianChangelog(t *testing.T) {
	b := trial
	b.release = "1.2.3-rc.1"
	want := "sshnotify (1.2.3~rc.1-1) stable; urgency=medium\n\n  * Release 1.2.3-rc.1.\n\n -- The sshnotify authors <sshnotify@example.com>  Sat, 21 Nov 2026 02:15:04 +0000\n"
	if got := string(b.debianChangelog()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// goreleaserFile is what the tests look at of goreleaser.yaml.
type goreleaserFile struct {
	Version int `yaml:"version"`
	Builds  []struct {
		Main    string   `yaml:"main"`
		Env     []string `yaml:"env"`
		Flags   []string `yaml:"flags"`
		Ldflags []string `yaml:"ldflags"`
		Targets []string `yaml:"targets"`
	} `yaml:"builds"`
	Archives []struct {
		Files []content `yaml:"files"`
	} `yaml:"archives"`
	NFPMs []struct {
		Formats   []string           `yaml:"formats"`
		Contents  []content          `yaml:"contents"`
		Scripts   map[string]string  `yaml:"scripts"`
		Overrides map[string]packing `yaml:"overrides"`
		APK       packing            `yaml:"apk"`
		ArchLinux packing            `yaml:"archlinux"`
	} `yaml:"nfpms"`
}

type packing struct {
	Scripts map[string]string `yaml:"scripts"`
}

type content struct {
	Src      string `yaml:"src"`
	Dst      string `yaml:"dst"`
	Type     string `yaml:"type"`
	Packager string `yaml:"packager"`
	FileInfo struct {
		Owner, Group string
		Mode         os.FileMode
	} `yaml:"file_info"`
}

func goreleaser(t *testing.T) (text []byte, file goreleaserFile) {
	t.Helper()
	text, err := os.ReadFile("goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if file.Version != 2 || len(file.Builds) != 4 || len(file.NFPMs) != 2 || len(file.Archives) != 1 {
		t.Fatalf("not as expected: %+v", file)
	}
	return text, file
}

func TestGoreleaserNamesFilesThatExist(t *testing.T) {
	_, file := goreleaser(t)
	var names []string
	for _, b := range file.Builds {
		names = append(names, b.Main)
	}
	for _, c := range slices.Concat(file.NFPMs[0].Contents, file.NFPMs[1].Contents, file.Archives[0].Files) {
		if c.Type != "symlink" {
			names = append(names, c.Src)
		}
	}
	var scripts []map[string]string
	for _, p := range file.NFPMs {
		scripts = append(scripts, p.Scripts, p.APK.Scripts, p.ArchLinux.Scripts)
		for _, o := range p.Overrides {
			scripts = append(scripts, o.Scripts)
		}
	}
	for _, s := range scripts {
		for _, name := range s {
			names = append(names, name)
		}
	}
	if len(names) < 25 {
		t.Errorf("only %d names were found", len(names))
	}
	for _, name := range names {
		real := name
		if rest, ok := strings.CutPrefix(name, outDir+"/"); ok {
			real = filepath.Join(made, rest)
		}
		if found, err := filepath.Glob(real); err != nil || len(found) == 0 {
			t.Errorf("%s: there is no such file", name)
		}
	}
}

func TestGoreleaserBuildsAsWeDo(t *testing.T) {
	_, file := goreleaser(t)
	for _, b := range file.Builds {
		if !slices.Contains(b.Env, "CGO_ENABLED=0") || !slices.Contains(b.Flags, "-trimpath") {
			t.Errorf("neither static nor reproducible: %+v", b)
		}
	}
	for _, b := range file.Builds {
		if ld := strings.Join(b.Ldflags, " "); !strings.Contains(ld, "-X "+module+"/internal/release.version={{ .Version }}") {
			t.Errorf("%s is not told its version: %s", b.Main, ld)
		}
		program := filepath.Join(t.TempDir(), filepath.Base(b.Main))
		if err := trial.compile(t.Context(), program, b.Main, runtime.GOOS, runtime.GOARCH, ""); err != nil {
			t.Fatal(err)
		}
		said, err := trial.ask(t.Context(), program, "--version")
		if name, v, _ := strings.Cut(string(said), " "); err != nil || v != "1.2.3\n" || !strings.HasPrefix(name, "sshnotify") {
			t.Errorf("%s says %q (%v)", b.Main, said, err)
		}
	}
}

func TestPackagesHoldWhatAHostNeeds(t *testing.T) {
	_, file := goreleaser(t)
	for _, format := range file.NFPMs[0].Formats {
		has := map[string]content{}
		for _, c := range file.NFPMs[0].Contents {
			if c.Packager == "" || c.Packager == format {
				has[c.Dst] = c
			}
		}
		want := []string{
			"/usr/lib/systemd/system/sshnotify.service", "/usr/lib/sysusers.d/sshnotify.conf", "/usr/lib/tmpfiles.d/sshnotify.conf",
			"/usr/lib/systemd/system/sshnotify-watch.service", "/usr/lib/sysusers.d/sshnotify-watch.conf", "/usr/lib/tmpfiles.d/sshnotify-watch.conf",
			"/usr/lib/systemd/system/sshnotify-codes.service",
			"/usr/lib/systemd/system/sshnotify-respond.path", "/usr/lib/systemd/system/sshnotify-respond.service", "/usr/lib/tmpfiles.d/sshnotify-respond.conf",
			"/usr/share/man/man1", "/usr/share/doc/sshnotify/LICENSE", "/usr/share/doc/sshnotify/NOTICE",
			"/usr/share/bash-completion/completions/sshnotify", "/usr/share/fish/vendor_completions.d/sshnotify.fish",
		}
		if format == "deb" {
			want = append(want, "/usr/share/pam-configs/sshnotify", "/usr/share/doc/sshnotify/copyright", "/usr/share/zsh/vendor-completions/_sshnotify")
		} else {
			want = append(want, "/usr/share/zsh/site-functions/_sshnotify")
		}
		for _, dst := range want {
			if _, ok := has[dst]; !ok {
				t.Errorf("%s: no %s", format, dst)
			}
		}
		c := has["/etc/sshnotify/config.toml"]
		if c.Type != "config|noreplace" || c.FileInfo.Owner != "root" || c.FileInfo.Group != "sshnotify" || c.FileInfo.Mode != 0o640 {
			t.Errorf("%s: the settings are %+v", format, c)
		}
		for dst := range has {
			if strings.HasPrefix(dst, "/etc/pam.d") {
				t.Errorf("%s: touches PAM: %s", format, dst)
			}
		}
	}
}

func TestNFPMSettings(t *testing.T) {
	text, _ := goreleaser(t)
	packages, err := trial.nfpmSettings(text, "build/linux_arm64", "arm64")
	if err != nil {
		t.Fatal(err)
	}
	out, programs := packages[0].settings, packages[0].programs
	nats := packages[1]
	if nats.name != "sshnotify-nats" || slices.Contains(nats.formats, "apk") || !slices.Contains(nats.formats, "deb") || len(nats.programs) != 1 ||
		nats.programs["build/linux_arm64/bin/sshnotify-nats"] != "./cmd/sshnotify-nats" || !strings.Contains(string(nats.settings), "depends:\n    - sshnotify\n") {
		t.Errorf("the second package is %+v\n%s", nats.programs, nats.settings)
	}
	var got map[string]any
	if err := yaml.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]any{"name": "sshnotify", "arch": "arm64", "version": "1.2.3", "platform": "linux", "license": "MIT", "mtime": "2026-11-21T02:15:04Z"} {
		v := got[k]
		if at, ok := v.(time.Time); ok {
			v = at.Format(time.RFC3339)
		}
		if v != want {
			t.Errorf("%s is %v, not %v", k, v, want)
		}
	}
	if programs["build/linux_arm64/bin/sshnotify"] != "./cmd/sshnotify" || programs["build/linux_arm64/libexec/sshnotify/hook"] != "./cmd/sshnotify-hook" ||
		programs["build/linux_arm64/libexec/sshnotify/gate"] != "./cmd/sshnotify-gate" {
		t.Errorf("the programs are %v", programs)
	}
	for _, dst := range []string{"/usr/bin/sshnotify", "/usr/libexec/sshnotify/hook", "/usr/libexec/sshnotify/gate"} {
		if !strings.Contains(string(out), "dst: "+dst+"\n") {
			t.Errorf("%s is not in it", dst)
		}
	}
	if deb := got["overrides"].(map[string]any)["deb"].(map[string]any); deb["depends"] == nil || deb["dependencies"] != nil {
		t.Errorf("what Debian's package depends on is lost: %v", deb)
	}
	for _, bad := range []string{"nfpms: 1", "nfpms: []", "nfpms: [{package_name: x}]", "nfpms: [{package_name: x, bindir: /b, contents: [{src: '{{ .X }}'}]}]"} {
		if _, err := trial.nfpmSettings([]byte(bad), "p", "amd64"); err == nil {
			t.Errorf("%s: taken", bad)
		}
	}
}
