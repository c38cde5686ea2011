package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// apt and dnf install from the repositories that are made, and take neither a package
// nor an index that somebody has changed, nor what another key signed. What apt installs
// runs; of dnf's, no script is run, because Debian has none of Fedora's programs.
func TestRepositoriesHost(t *testing.T) {
	base := os.Getenv("SSHNOTIFY_GUEST")
	if base == "" {
		t.Skip("SSHNOTIFY_GUEST names no debootstrapped folder")
	}
	for _, program := range []string{"apt-ftparchive", "createrepo_c", "gpg", "rpmsign", "rpmbuild", "dnf"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("SSHNOTIFY_E2E") == "required" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	deb, err := packed()
	if err != nil {
		t.Fatal(err)
	}
	if err := trial.pack(context.Background(), "build", []string{"rpm"}, "amd64", ""); err != nil {
		t.Fatal(err)
	}
	rpms, err := filepath.Glob("build/sshnotify-1*.rpm")
	if err != nil || len(rpms) != 1 {
		t.Fatal(rpms, err)
	}

	// Short, for the socket of gpg's agent.
	keys, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	run := func(program string, args ...string) (string, error) {
		c := exec.Command(program, args...)
		c.Env = append(os.Environ(), "GNUPGHOME="+keys, "LC_ALL=C.UTF-8")
		out, err := c.CombinedOutput()
		return string(out), err
	}
	must := func(program string, args ...string) string {
		t.Helper()
		out, err := run(program, args...)
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
		}
		return out
	}
	t.Cleanup(func() {
		run("gpgconf", "--kill", "all")
		os.RemoveAll(keys)
	})
	for _, name := range []string{"packages", "stranger"} {
		must("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", name+"@example.com", "rsa2048", "sign")
	}

	root := t.TempDir()
	must("cp", "-a", "--reflink=auto", base+"/.", root)
	repo := filepath.Join(root, "srv/repository")
	must("tools/release/repository.sh", repo, "file:///srv/repository", "packages@example.com", deb)
	must("tools/release/repository.sh", repo, "file:///srv/repository/", "packages@example.com", rpms[0])

	keyring := filepath.Join(root, "usr/share/keyrings/sshnotify.asc")
	must("cp", filepath.Join(repo, "sshnotify.asc"), keyring)
	must("cp", filepath.Join(repo, "sshnotify.sources"), filepath.Join(root, "etc/apt/sources.list.d"))
	if err := os.Remove(filepath.Join(root, "etc/apt/sources.list")); err != nil {
		t.Fatal(err)
	}
	apt := func(args ...string) (string, error) {
		return run("chroot", append([]string{root, "apt-get", "-q", "--yes", "--no-install-recommends", "-o", "APT::Update::Error-Mode=any"}, args...)...)
	}
	refused := func(what, why string, out string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(out, why) {
			t.Errorf("%s: %v, and no word of %q:\n%s", what, err, why, out)
		}
	}
	for _, args := range [][]string{{"update"}, {"install", "sshnotify"}} {
		if out, err := apt(args...); err != nil {
			t.Fatalf("apt-get %s: %v\n%s", args, err, out)
		}
	}
	if out := must("chroot", root, "sshnotify", "version"); !strings.HasPrefix(out, "sshnotify 1.2.3\n") {
		t.Errorf("apt installed:\n%s", out)
	}

	// dnf, where what Fedora has is a package that says so.
	spec := filepath.Join(root, "fedora.spec")
	if err := os.WriteFile(spec, []byte("Name: fedora\nVersion: 1\nRelease: 1\nSummary: what else there is\nLicense: MIT\nBuildArch: noarch\nProvides: /bin/sh /usr/sbin/useradd\n%description\n%files\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	others := filepath.Join(root, "fedora")
	must("rpmbuild", "--quiet", "--define", "_rpmdir "+others, "-bb", spec)
	must("createrepo_c", "--quiet", others)
	text, err := os.ReadFile(filepath.Join(repo, "sshnotify.repo"))
	if err != nil {
		t.Fatal(err)
	}
	lists := t.TempDir()
	if err := os.WriteFile(filepath.Join(lists, "all.repo"), []byte(strings.ReplaceAll(string(text), "file:///", "file://"+root+"/")+
		"[fedora]\nname=fedora\nbaseurl=file://"+others+"\ngpgcheck=0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	dnf := func() (string, string, error) {
		to := t.TempDir()
		out, err := run("dnf", "--assumeyes", "--installroot="+to, "--releasever=1", "--setopt=reposdir="+lists, "--setopt=cachedir="+filepath.Join(to, "cache"),
			"--setopt=tsflags=noscripts", "--setopt=install_weak_deps=False", "install", "sshnotify")
		return to, out, err
	}
	to, out, err := dnf()
	if err != nil {
		t.Fatalf("dnf: %v\n%s", err, out)
	}
	if out := must(filepath.Join(to, "usr/bin/sshnotify"), "version"); !strings.HasPrefix(out, "sshnotify 1.2.3\n") {
		t.Errorf("dnf installed:\n%s", out)
	}

	// Somebody at the server.
	must("gpg", "--batch", "--yes", "--armor", "--output", keyring, "--export", "stranger@example.com")
	out, err = apt("update")
	// apt asks gpg, or sqv from Debian 13 on: both name the key that is missing.
	_, key, _ := strings.Cut(must("gpg", "--batch", "--with-colons", "--list-keys", "packages@example.com"), "pub:")
	refused("apt, and another key", strings.Split(key, ":")[3], out, err)
	must("cp", filepath.Join(repo, "sshnotify.asc"), keyring)
	if out, err := apt("update"); err != nil {
		t.Fatal(out)
	}
	changeByte(t, filepath.Join(repo, "apt/pool", filepath.Base(deb)))
	must("chroot", root, "apt-get", "clean")
	out, err = apt("install", "--reinstall", "sshnotify")
	refused("apt, and a package that was changed", "Hash Sum mismatch", out, err)
	changeByte(t, filepath.Join(repo, "rpm", filepath.Base(rpms[0])))
	_, out, err = dnf()
	refused("dnf, and a package that was changed", "incorrect checksum", out, err)
	must("createrepo_c", "--quiet", filepath.Join(repo, "rpm"))
	_, out, err = dnf()
	refused("dnf, and an index that was changed", "GPG", out, err)
}

// changeByte changes the middle byte of a file.
func changeByte(t *testing.T, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
