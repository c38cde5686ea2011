package install

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// sshd asks the server for the settings that it uses, and reads them itself
// where the server can't be run.
func (h Host) sshd(ctx context.Context) SSHD {
	s := SSHD{Service: "sshd"}
	for _, bin := range []string{"/usr/sbin/sshd", "/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"} {
		if !h.exists(bin) {
			continue
		}
		out, err := h.askSSHD(ctx, bin)
		if err != nil {
			break
		}
		for line := range strings.SplitSeq(out, "\n") {
			s.set(line)
		}
		if s.UsePAM == "" {
			// A server that was built without PAM does not know the word.
			s.UsePAM = "no"
		}
		s.From = bin + " -T"
		return s
	}
	if h.exists("/etc/ssh/sshd_config") {
		var got SSHD
		h.readSSHD("/etc/ssh/sshd_config", &got, 0)
		if got.Service != "" {
			s.Service = got.Service
		}
		s.UsePAM, s.From = got.UsePAM, "/etc/ssh/sshd_config"
		if s.ExposeAuthInfo = got.ExposeAuthInfo; s.ExposeAuthInfo == "" && h.text(s.From) != "" {
			s.ExposeAuthInfo = "no" // the default
		}
	}
	return s
}

// sshdFolder is what Debian's sshd wants to be there, even to say its settings.
const sshdFolder = "/run/sshd"

// askSSHD asks the server for its settings; with -C for those that hold for one
// connection. Where a socket starts it, as in Ubuntu, systemd makes sshdFolder with the
// first connection after a boot; until then it is made here, as systemd does it.
func (h Host) askSSHD(ctx context.Context, bin string, args ...string) (string, error) {
	args = append([]string{bin, "-T"}, args...)
	out, err := h.ask(ctx, args...)
	if err != nil && strings.Contains(err.Error(), "Missing privilege separation directory: "+sshdFolder) && os.Mkdir(h.real(sshdFolder), 0o755) == nil {
		out, err = h.ask(ctx, args...)
	}
	return string(out), err
}

func (s *SSHD) set(line string) {
	key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
	value = strings.Trim(strings.TrimSpace(value), `"`)
	switch strings.ToLower(key) {
	case "usepam":
		s.UsePAM = strings.ToLower(value)
	case "exposeauthinfo":
		s.ExposeAuthInfo = strings.ToLower(value)
	case "pamservicename":
		// It is a file's name.
		if value != "" && !strings.Contains(value, "/") {
			s.Service = value
		}
	}
}

// readSSHD reads the settings that hold for all connections; the first value
// of a keyword counts (sshd_config(5)).
func (h Host) readSSHD(p string, s *SSHD, depth int) {
	for line := range strings.SplitSeq(h.text(p), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		line = strings.Replace(strings.ReplaceAll(line, "\t", " "), "=", " ", 1)
		key, value, _ := strings.Cut(line, " ")
		switch strings.ToLower(key) {
		case "match":
			return
		case "include":
			for _, pattern := range strings.Fields(value) {
				if depth < 16 {
					h.includeSSHD(strings.Trim(pattern, `"`), s, depth+1)
				}
			}
		case "usepam":
			if s.UsePAM == "" {
				s.set(line)
			}
		case "exposeauthinfo":
			if s.ExposeAuthInfo == "" {
				s.set(line)
			}
		case "pamservicename":
			if s.Service == "" {
				s.set(line)
			}
		}
	}
}

func (h Host) includeSSHD(pattern string, s *SSHD, depth int) {
	if !path.IsAbs(pattern) {
		pattern = path.Join("/etc/ssh", pattern)
	}
	dir, err := h.resolve(path.Dir(pattern))
	if err != nil {
		return
	}
	entries, err := os.ReadDir(h.real(dir))
	if err != nil {
		return
	}
	var names []string
	for _, e := range entries {
		if ok, _ := filepath.Match(path.Base(pattern), e.Name()); ok {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	for _, n := range names {
		h.readSSHD(path.Join(dir, n), s, depth)
	}
}
