package respond

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshnotify/sshnotify/internal/state"
)

const (
	// sshdConf is read before all others: of RevokedKeys, sshd takes the first that
	// it finds.
	sshdConf = "/etc/ssh/sshd_config.d/00-sshnotify-respond.conf"
	krlPath  = "/etc/ssh/sshnotify-revoked.krl"
)

// conf is what sshd is told.
func (d denied) conf() string {
	if len(d.Keys)+len(d.Users) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("# Written by sshnotify respond, which takes it out again: sshnotify respond list\n")
	if len(d.Keys) > 0 {
		b.WriteString("RevokedKeys " + krlPath + "\n")
	}
	for _, u := range d.Users {
		b.WriteString("DenyUsers " + u + "\n")
	}
	return b.String()
}

// sshd makes d what sshd refuses. Without the list of revoked keys that its settings
// name, or with one that is broken, it would refuse every key: the list is in place
// before the settings name it, goes after them, and both are tried before they count.
// public is a key that must be revoked, nil where only its fingerprint is known.
func (r *Responder) sshd(ctx context.Context, st *Store, s *Step, d denied, public []byte) error {
	h := r.Host
	old, err := st.denied()
	if err != nil {
		return err
	}
	sshd := h.program("sshd")
	if sshd == "" {
		return errors.New("sshd is not there")
	}
	if text := h.text("/etc/ssh/sshd_config", 1<<20); !strings.Contains(text, "sshd_config.d") {
		return errors.New("/etc/ssh/sshd_config does not include sshd_config.d/*.conf: put Include /etc/ssh/sshd_config.d/*.conf into its first line")
	}
	var krl []byte
	if len(d.Keys) > 0 {
		if krl, err = r.makeKRL(ctx, st, d.Keys, public); err != nil {
			return fmt.Errorf("the new list of revoked keys is not put in place: %w", err)
		}
	}
	if err := st.deny(d); err != nil {
		return err
	}
	before, readErr := h.readFile(krlPath, maxStore)
	back := func(err error) error {
		err = errors.Join(err, h.put(sshdConf, old.conf()), st.deny(old))
		if readErr != nil { // there was none, and nothing names it now
			return errors.Join(err, state.Remove(h.path(krlPath)))
		}
		return errors.Join(err, state.ReplaceAs(h.path(krlPath), before, 0o644))
	}
	if krl != nil {
		if err := state.ReplaceAs(h.path(krlPath), krl, 0o644); err != nil {
			return errors.Join(err, st.deny(old))
		}
	}
	// What stands there, and not only what should: an earlier try may have been stopped.
	if h.text(sshdConf, maxStore) != d.conf() || d.conf() == "" && h.exists(sshdConf) {
		if err := h.put(sshdConf, d.conf()); err != nil {
			return back(err)
		}
		if _, err := h.Run(ctx, "", sshd, "-t"); err != nil {
			return back(err)
		}
		if err := h.inEffect(ctx, sshd, r.Subject, d); err != nil {
			return back(err)
		}
		how, err := h.reload(ctx)
		if err != nil {
			err = back(err)
			h.reload(ctx)
			return err
		}
		s.say("%s", how)
	}
	if krl == nil && h.exists(krlPath) {
		time.Sleep(reloadTime)
		return state.Remove(h.path(krlPath))
	}
	return nil
}

// reloadTime is how long sshd may take to read its settings, before which it still
// needs the list that they named.
const reloadTime = 500 * time.Millisecond

// put makes text the content of a file of the settings; "" removes it.
func (h Host) put(name, text string) error {
	if text == "" {
		return state.Remove(h.path(name))
	}
	return state.ReplaceAs(h.path(name), []byte(text), 0o644)
}

// inEffect asks sshd whether its settings, with all files and conditions, say for the
// subject what ours do.
func (h Host) inEffect(ctx context.Context, sshd string, s Subject, d denied) error {
	ip := "192.0.2.1"
	if s.IP.IsValid() {
		ip = s.IP.String()
	}
	user := s.User
	if !plainName(user) {
		user = "nobody"
	}
	out, err := h.Run(ctx, "", sshd, "-T", "-C", "user="+user+",host="+ip+",addr="+ip)
	if err != nil {
		return err
	}
	got := map[string][]string{}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		got[key] = append(got[key], strings.Fields(value)...)
	}
	if len(d.Keys) > 0 && !slices.Equal(got["revokedkeys"], []string{krlPath}) {
		return fmt.Errorf("sshd takes RevokedKeys from elsewhere (%s): add the key to that list", strings.Join(got["revokedkeys"], " "))
	}
	for _, u := range d.Users {
		if !slices.Contains(got["denyusers"], u) {
			return fmt.Errorf("sshd does not take DenyUsers %s from %s", u, sshdConf)
		}
	}
	return nil
}

// reload has sshd read its settings.
func (h Host) reload(ctx context.Context) (how string, err error) {
	if systemctl := h.program("systemctl"); systemctl != "" && h.exists("/run/systemd/system") {
		for _, unit := range []string{"ssh.service", "sshd.service"} {
			if _, err := h.Run(ctx, "", systemctl, "is-active", "--quiet", unit); err != nil {
				continue
			}
			_, err := h.Run(ctx, "", systemctl, "reload", unit)
			return unit + " has read its settings", err
		}
		return "no sshd runs now that would have to read its settings", nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(h.text("/run/sshd.pid", 32)))
	if err != nil {
		return "no sshd runs now that would have to read its settings", nil
	}
	p, err := h.look(pid)
	if err != nil || p.UID != 0 || !strings.HasPrefix(p.Name, "sshd") {
		return "", fmt.Errorf("/run/sshd.pid names no sshd: send yours HUP")
	}
	kill := h.program("kill")
	if kill == "" {
		return "", errors.New("kill is not there: send sshd HUP")
	}
	_, err = h.Run(ctx, "", kill, "-HUP", strconv.Itoa(pid))
	return "sshd was sent HUP, and reads its settings", err
}

// reloading is the line that has sshd read its settings.
func (h Host) reloading() string {
	unit := "sshd"
	if h.exists("/usr/lib/systemd/system/ssh.service") || h.exists("/lib/systemd/system/ssh.service") {
		unit = "ssh"
	}
	return "sshd -t && systemctl reload " + unit
}

// makeKRL returns a list that revokes keys by their fingerprints, after it was tried.
func (r *Responder) makeKRL(ctx context.Context, st *Store, keys []string, public []byte) ([]byte, error) {
	h := r.Host
	keygen := h.program("ssh-keygen")
	if keygen == "" {
		return nil, errors.New("ssh-keygen is not there")
	}
	dir, err := os.MkdirTemp(st.path, "krl-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	good, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	goodKey, err := ssh.NewPublicKey(good)
	if err != nil {
		return nil, err
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	spec := ""
	for _, k := range keys {
		spec += "hash: " + k + "\n"
	}
	for name, b := range map[string][]byte{"spec": []byte(spec), "good.pub": ssh.MarshalAuthorizedKey(goodKey), "bad.pub": public} {
		if err := os.WriteFile(file(name), b, 0o600); err != nil {
			return nil, err
		}
	}
	if _, err := h.Run(ctx, "", keygen, "-q", "-k", "-f", file("krl"), file("spec")); err != nil {
		return nil, err
	}
	krl, err := os.ReadFile(file("krl"))
	if err != nil {
		return nil, err
	}
	if _, err := h.Run(ctx, "", keygen, "-Q", "-f", file("krl"), file("good.pub")); err != nil {
		return nil, fmt.Errorf("it would refuse a key that nobody revoked: %w", err)
	}
	listed, err := h.Run(ctx, "", keygen, "-Q", "-l", "-f", file("krl"))
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		sum, err := base64.RawStdEncoding.DecodeString(strings.TrimPrefix(k, "SHA256:"))
		if err != nil || !strings.Contains(listed, "hash: SHA256:"+hex.EncodeToString(sum)+"\n") {
			return nil, fmt.Errorf("it does not have %s", k)
		}
	}
	if public != nil {
		if _, err := h.Run(ctx, "", keygen, "-Q", "-f", file("krl"), file("bad.pub")); err == nil {
			return nil, errors.New("it does not revoke the key")
		}
	}
	if again, err := os.ReadFile(file("krl")); err != nil || !bytes.Equal(again, krl) {
		return nil, errors.New("it changed while it was tried")
	}
	return krl, nil
}

// port is where the host's sshd can be asked; "" where it can't.
func (h Host) port(ctx context.Context) string {
	sshd := h.program("sshd")
	if sshd == "" {
		return ""
	}
	out, err := h.Run(ctx, "", sshd, "-T")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(out) {
		if port, ok := strings.CutPrefix(strings.TrimSpace(line), "port "); ok {
			return port
		}
	}
	return ""
}

// probeLimit bounds how long sshd is asked.
const probeLimit = 10 * time.Second

// errWouldSign says that sshd wants a signature: it takes the key.
var errWouldSign = errors.New("sshd takes the key")

// Probe asks sshd on loopback whether it would take a key for a user, for which the
// public half is enough: it answers before anything is signed (RFC 4252, section 7).
func Probe(ctx context.Context, user string, key []byte, port string) (accepted bool, err error) {
	public, _, _, _, err := ssh.ParseAuthorizedKey(key)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	var d net.Dialer
	wire, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return false, err
	}
	defer wire.Close()
	deadline, _ := ctx.Deadline()
	wire.SetDeadline(deadline)
	c := &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(unsigning{public, &accepted})},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // it is loopback, and nothing is told
	}
	conn, _, _, err := ssh.NewClientConn(wire, "127.0.0.1", c)
	if conn != nil {
		conn.Close()
	}
	if accepted || err != nil && strings.Contains(err.Error(), "unable to authenticate") {
		return accepted, nil
	}
	return false, err
}

// unsigning is a key without its private half.
type unsigning struct {
	key   ssh.PublicKey
	asked *bool
}

func (u unsigning) PublicKey() ssh.PublicKey { return u.key }

func (u unsigning) Sign(io.Reader, []byte) (*ssh.Signature, error) {
	*u.asked = true
	return nil, errWouldSign
}
