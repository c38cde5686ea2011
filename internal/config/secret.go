package config

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/sshnotify/sshnotify/internal/outbound"
)

// secret reads a key or its _file twin. The node is the one that is set, nil
// if none is; the Secret is zero if that one is no good, which is noted.
// inlineIsSecret tells the values that nobody else may read; nil means all.
func (t *table) secret(key string, inlineIsSecret func(string) bool) (outbound.Secret, *node) {
	inline, file := t.take(key), t.take(key+"_file")
	switch {
	case inline != nil && file != nil:
		t.fail(file, "leave one of them out", "%s is set as well", key)
		return outbound.Secret{}, file
	case t.withoutSecrets && inline != nil:
		return outbound.Secret{}, inline
	case t.withoutSecrets && file != nil:
		return outbound.Secret{}, file
	case inline != nil:
		return t.inlineSecret(inline, inlineIsSecret), inline
	case file != nil:
		return t.fileSecret(file), file
	}
	return outbound.Secret{}, nil
}

func (t *table) inlineSecret(n *node, isSecret func(string) bool) outbound.Secret {
	if !t.is(n, textKind) {
		return outbound.Secret{}
	}
	s, problem := cleanSecret(n.text)
	if problem != "" {
		t.fail(n, "", "%s", problem)
		return outbound.Secret{}
	}
	if othersCanRead(n.doc.mode) && (isSecret == nil || isSecret(s)) && !t.told[n.doc.path] {
		if t.told == nil {
			t.told = map[string]bool{}
		}
		t.told[n.doc.path] = true
		t.fail(n, closeToOthers(n.doc.path), "a secret stands here, and others can read this file")
	}
	return outbound.NewSecret(s)
}

// credential is how a _file key names one of systemd's credentials
// (systemd.exec(5), LoadCredential=).
const credential = "credential:"

func (t *table) fileSecret(n *node) outbound.Secret {
	if !t.is(n, textKind) {
		return outbound.Secret{}
	}
	path := n.text
	name, isCredential := strings.CutPrefix(path, credential)
	if isCredential {
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		switch {
		case !isCredentialName(name):
			t.fail(n, "", "credential: must be followed by a plain name")
			return outbound.Secret{}
		case !filepath.IsAbs(dir):
			if !ownWords(n, name) { // it may be the secret itself
				name = "NAME"
			}
			t.fail(n, "the service's unit passes it: LoadCredential="+name+":FILE", "systemd has passed no credentials to this process")
			return outbound.Secret{}
		}
		path = filepath.Join(dir, name)
	} else if !filepath.IsAbs(path) {
		but := ""
		if path == "" || ownWords(n, path) {
			but = not(path)
		}
		t.fail(n, "", "must be a path from the root (/…) or credential:NAME%s", but)
		return outbound.Secret{}
	}

	data, mode, err := readFile(path)
	if err != nil {
		// Without the path, which can be a secret under the wrong key.
		t.fail(n, "", "%s", err)
		t.errs[len(t.errs)-1].Err = err
		return outbound.Secret{}
	}
	if !isCredential && othersCanRead(mode) {
		t.fail(n, closeToOthers(path), "others can read %s", path)
		return outbound.Secret{}
	}
	s, problem := cleanSecret(string(data))
	if problem != "" {
		t.fail(n, "", "%s: %s", path, problem)
		return outbound.Secret{}
	}
	return outbound.NewSecret(s)
}

// isCredentialName keeps to one name in the folder. systemd takes any file
// name of up to 255 bytes; what has a separator or a leading dot leads
// elsewhere.
func isCredentialName(s string) bool {
	if s == "" || len(s) > 255 || s[0] == '.' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && (c < '0' || c > '9') && strings.IndexByte("._-@", c) < 0 {
			return false
		}
	}
	return true
}

// cleanSecret trims what editors and echo leave at the ends. What is left goes
// into a URL or a header as it is, where neither white space nor anything but
// ASCII belongs. The problem does not quote the secret.
func cleanSecret(s string) (clean, problem string) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", "the secret is empty"
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ' || '\t' <= c && c <= '\r':
			return "", "the secret has white space in it"
		case c < ' ' || c > '~':
			return "", "the secret has a character in it that is not plain ASCII"
		}
	}
	return s, ""
}
