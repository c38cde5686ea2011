package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The image's layers are the same bytes each time they are made. It runs as nobody's root, with the
// settings of examples/container in a volume as Kubernetes gives one, and its health is
// its worker's. What Compose and Kubernetes would read of it, their own parsers read.
func TestImage(t *testing.T) {
	if _, err := exec.LookPath("buildah"); err != nil || os.Getuid() != 0 {
		if os.Getenv("SSHNOTIFY_E2E") == "required" && os.Getuid() == 0 {
			t.Fatal(err)
		}
		t.Skip("buildah and root are needed")
	}
	out, err := exec.Command("go", "-C", "tools/release/image/parse", "run", ".", abs(t, "examples/container/compose.yaml"), abs(t, "examples/container/kubernetes.yaml")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}

	dir := t.TempDir()
	conf := filepath.Join(dir, "storage.conf")
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write(conf, fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", filepath.Join(dir, "graph"), filepath.Join(dir, "run")), 0o600)
	command := func(program string, args ...string) *exec.Cmd {
		c := exec.Command(program, args...)
		c.Env = append(os.Environ(), "CONTAINERS_STORAGE_CONF="+conf)
		return c
	}
	must := func(program string, args ...string) string {
		t.Helper()
		c := command(program, args...)
		var said bytes.Buffer
		c.Stderr = &said
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, out, said.String())
		}
		return strings.TrimSpace(string(out))
	}
	var made [2]imageSettings
	for i := range made {
		must("make", "image", "VERSION=1.2.3")
		made[i] = ofImage(t, "build/sshnotify-image.tar")
	}
	settings := made[0]
	if diff := cmp.Diff(made[0], made[1], cmp.AllowUnexported(imageSettings{})); diff != "" {
		t.Errorf("made twice, it differs:\n%s", diff)
	}
	if settings.User != "65532:65532" || len(settings.Healthcheck.Test) < 3 || settings.Healthcheck.Test[0] != "CMD" || len(settings.Volumes) != 1 {
		t.Errorf("the image says %+v", settings)
	}

	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	etc, volume := filepath.Join(dir, "etc"), filepath.Join(dir, "volume")
	for _, d := range []string{etc, volume} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("examples/container/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(etc, "config.toml"), strings.Replace(string(text), "0.0.0.0:8443", address, 1), 0o444)
	write(filepath.Join(etc, "slack.url"), "https://hooks.slack.com/services/T00000000/B00000000/x\n", 0o400)
	if err := os.Chown(filepath.Join(etc, "slack.url"), 65532, 65532); err != nil {
		t.Fatal(err)
	}
	// As fsGroup leaves it.
	if err := os.Chown(volume, 0, 65532); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(volume, os.ModeSetgid|0o770); err != nil {
		t.Fatal(err)
	}
	container := must("buildah", "from", "sshnotify:1.2.3")
	in := func(words ...string) *exec.Cmd {
		return command("buildah", append([]string{"run", "--isolation", "chroot", "--volume", etc + ":/etc/sshnotify:ro", "--volume", volume + ":/var/lib/sshnotify", container, "--"}, words...)...)
	}
	healthy := func() error {
		out, err := in(settings.Healthcheck.Test[1:]...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return err
	}
	if out, err := in("/usr/bin/sshnotify", "version").Output(); err != nil || !strings.HasPrefix(string(out), "sshnotify 1.2.3\n") {
		t.Errorf("version: %v\n%s", err, out)
	}
	hub := in(append(settings.Entrypoint, settings.Cmd...)...)
	var said bytes.Buffer
	hub.Stderr = &said
	if err := hub.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- hub.Wait() }()
	var last error
	for end := time.Now().Add(time.Minute); ; time.Sleep(300 * time.Millisecond) {
		if last = healthy(); last == nil {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("the hub ended: %v\n%s", err, said.String())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("not healthy: %v\n%s", last, said.String())
		}
	}
	if _, err := net.Dial("tcp", address); err != nil {
		t.Error(err)
	}
	if out, err := in(append(settings.Entrypoint, "fleet", "token", "--name", "web1")...).Output(); err != nil || !strings.HasPrefix(string(out), "sshn1.") {
		t.Errorf("fleet token: %v\n%s", err, out)
	}
	// A second one has no folder to itself.
	if out, err := in(append(settings.Entrypoint, settings.Cmd...)...).CombinedOutput(); err == nil {
		t.Errorf("two hubs share a volume:\n%s", out)
	}
	must("pkill", "-TERM", "-x", "-u", "65532", "sshnotify")
	<-ended
	if err := healthy(); err == nil {
		t.Error("healthy without a hub")
	}
}

func abs(t *testing.T, name string) string {
	t.Helper()
	p, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type imageSettings struct {
	User            string
	Entrypoint, Cmd []string
	Volumes         map[string]any
	Healthcheck     struct{ Test []string }

	layers []string // their digests
}

// ofImage returns the settings of the one image of docker save's format in a file.
func ofImage(t *testing.T, file string) imageSettings {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(h.Name, ".json") {
			if files[h.Name], err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	var manifest []struct{ Config string }
	var image struct {
		Config imageSettings
		RootFS struct {
			Layers []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil || len(manifest) != 1 {
		t.Fatal(err, manifest)
	}
	if err := json.Unmarshal(files[manifest[0].Config], &image); err != nil {
		t.Fatal(err)
	}
	if image.Config.layers = image.RootFS.Layers; len(image.Config.layers) == 0 {
		t.Error("the image has no layers")
	}
	return image.Config
}
