package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// module is what the program's packages are called.
const module = "github.com/sshnotify/sshnotify"

// build is one release in the making.
type build struct {
	release string    // semantic version without v
	date    time.Time // of everything that bears a date
}

// sourceDate is SOURCE_DATE_EPOCH (reproducible-builds.org/specs/source-date-epoch),
// else the time of the last commit.
func sourceDate(ctx context.Context) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		out, err := output(exec.CommandContext(ctx, "git", "log", "-1", "--format=%ct"))
		if err != nil {
			return time.Time{}, fmt.Errorf("no SOURCE_DATE_EPOCH, and no commit: %w", err)
		}
		text = strings.TrimSpace(string(out))
	}
	sec, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(sec, 0).UTC(), nil
}

// taggedRelease returns the version that the commit's tag says: 1.2.3 of v1.2.3.
func taggedRelease(ctx context.Context) string {
	tag, err := output(exec.CommandContext(ctx, "git", "describe", "--tags", "--exact-match", "--match", "v[0-9]*"))
	if err != nil { // untagged, or no repository
		return "0.0.0-dev"
	}
	return strings.TrimPrefix(strings.TrimSpace(string(tag)), "v")
}

// files writes all that goreleaser.yaml names under build/ into dir.
func (b build) files(ctx context.Context, dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	program := filepath.Join(dir, "host", "sshnotify")
	if err := b.compile(ctx, program, "./cmd/sshnotify", runtime.GOOS, runtime.GOARCH, ""); err != nil {
		return err
	}
	if err := b.manPages(ctx, program, filepath.Join(dir, "man")); err != nil {
		return err
	}
	for shell, name := range map[string]string{"bash": "sshnotify.bash", "zsh": "_sshnotify", "fish": "sshnotify.fish"} {
		text, err := b.ask(ctx, program, "completion", shell)
		if err != nil {
			return err
		}
		if err := write(filepath.Join(dir, "completions", name), text); err != nil {
			return err
		}
	}
	// nfpm gives an apk's scripts the times of their files, which are those of the checkout.
	scripts, err := filepath.Glob("tools/release/package/*.sh")
	if err != nil {
		return err
	}
	for _, script := range scripts {
		if err := os.Chtimes(script, b.date, b.date); err != nil {
			return err
		}
	}
	licences, err := thirdPartyLicences(ctx)
	if err != nil {
		return err
	}
	if err := write(filepath.Join(dir, "third-party-licences.txt"), licences); err != nil {
		return err
	}
	return writeGzip(filepath.Join(dir, "changelog.Debian.gz"), b.debianChangelog())
}

// manPages has the program write its pages, and compresses them.
func (b build) manPages(ctx context.Context, program, dir string) error {
	if _, err := b.ask(ctx, program, "man", "--dir", dir); err != nil {
		return err
	}
	settings, err := b.ask(ctx, program, "man", "sshnotify.toml")
	if err != nil {
		return err
	}
	if err := write(filepath.Join(dir, "sshnotify.toml.5"), settings); err != nil {
		return err
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.[15]"))
	if err != nil {
		return err
	}
	for _, name := range pages {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := writeGzip(name+".gz", text); err != nil {
			return err
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// debianChangelog is the changelog of deb-changelog(5) that Debian wants in a
// package. What changed is in the repository.
func (b build) debianChangelog() []byte {
	return fmt.Appendf(nil, "sshnotify (%s-1) stable; urgency=medium\n\n  * Release %s.\n\n -- %s  %s\n",
		strings.Replace(b.release, "-", "~", 1), b.release,
		"The sshnotify authors <sshnotify@example.com>", b.date.Format(time.RFC1123Z))
}

// compile builds a program as goreleaser.yaml says.
func (b build) compile(ctx context.Context, to, main, goos, goarch, goarm string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -X "+module+"/internal/release.version="+b.release, "-o", to, main)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch, "GOARM="+goarm)
	_, err := output(cmd)
	return err
}

// ask runs the program as one that knows no user and no settings: whoever
// builds it, its texts are the same, and name the host's places.
func (b build) ask(ctx context.Context, program string, args ...string) ([]byte, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{"XDG_CONFIG_HOME=/etc", "XDG_STATE_HOME=/var/lib", "HOME=/", "NO_COLOR=1", "PATH=/usr/bin:/bin", fmt.Sprintf("SOURCE_DATE_EPOCH=%d", b.date.Unix())}
	return output(cmd)
}

// output is cmd's standard output; its error has what cmd said.
func output(cmd *exec.Cmd) ([]byte, error) {
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(said.Bytes()))
	}
	return out, nil
}

func write(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}

// writeGzip compresses as Debian wants it: at best, without name and time.
func writeGzip(name string, data []byte) error {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(data); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return write(name, b.Bytes())
}
