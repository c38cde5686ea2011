package strictoml

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// fileSuffix makes of a secret's key that of the file which holds it.
const fileSuffix = "_file"

// credential is how a _file key names one of systemd's credentials
// (systemd.exec(5), LoadCredential=).
const credential = "credential:"

// secret reads a key or its _file twin.
func (d *Decoder) secret(t *Node, f field) {
	inline, file := t.Child(f.key), t.Child(f.key+fileSuffix)
	n, s := inline, ""
	switch {
	case inline == nil && file == nil:
		if f.required {
			d.Fail(t, "%s or %s is missing", f.key, f.key+fileSuffix)
		}
		return
	case inline != nil && file != nil:
		d.Fail(file, "%s is set as well", f.key).Hint = "leave one of them out"
		return
	case d.WithoutSecrets:
		return
	case inline != nil:
		s = d.inlineSecret(inline, f.secretURL)
	default:
		n, s = file, d.fileSecret(file)
	}
	if s == "" {
		return
	}
	if err := f.value.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		d.Fail(n, "%s", quiet(err.Error()))
	}
}

func (d *Decoder) inlineSecret(n *Node, isURL bool) string {
	if !d.Is(n, Text) {
		return ""
	}
	s, problem := cleanSecret(n.Text)
	if problem != "" {
		d.Fail(n, "%s", problem)
		return ""
	}
	if n.File.Mode&othersRead != 0 && (!isURL || urlHoldsSecret(s)) && d.First("open file "+n.File.Name, n) == n {
		d.Fail(n, "a secret stands here, and others can read this file").Hint = closeToOthers(n.File.Name)
	}
	return s
}

// urlHoldsSecret: a password stands before the host, a token in the query.
func urlHoldsSecret(s string) bool {
	u, err := url.Parse(s)
	return err != nil || u.User != nil || strings.Contains(s, "?")
}

func (d *Decoder) fileSecret(n *Node) string {
	if !d.Is(n, Text) {
		return ""
	}
	path := n.Text
	name, isCredential := strings.CutPrefix(path, credential)
	if isCredential {
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		switch {
		case !isCredentialName(name):
			d.Fail(n, "credential: must be followed by a plain name")
			return ""
		case !filepath.IsAbs(dir):
			if !ownWords(n, name) { // it may be the secret itself
				name = "NAME"
			}
			d.Fail(n, "systemd has passed no credentials to this process").Hint = "the service's unit passes it: LoadCredential=" + name + ":FILE"
			return ""
		}
		path = filepath.Join(dir, name)
	} else if strings.Contains(path, "://") {
		d.Fail(n, "must be the path of a file that holds the URL").Hint = "the URL itself stands under " + strings.TrimSuffix(n.Key, fileSuffix)
		return ""
	} else {
		var problem string
		if path, problem = n.File.path(path); problem != "" {
			d.Fail(n, "%s, or credential:NAME", problem)
			return ""
		}
	}

	data, mode, err := ReadFile(path)
	if err != nil {
		// Without the path, which can be a secret under the wrong key.
		in := ""
		if dir, _ := n.File.path("."); !isCredential && !filepath.IsAbs(n.Text) && errors.Is(err, fs.ErrNotExist) {
			in = ", looked for in " + dir
		}
		d.Fail(n, "%s%s", err, in).Err = err
		return ""
	}
	if !isCredential && mode&othersRead != 0 {
		d.Fail(n, "others can read %s", path).Hint = closeToOthers(path)
		return ""
	}
	s, problem := cleanSecret(string(data))
	if problem != "" {
		d.Fail(n, "%s: %s", path, problem)
	}
	return s
}

// isCredentialName keeps to one name in the folder. systemd takes any file
// name of up to 255 bytes; what has a separator or a leading dot leads
// elsewhere.
func isCredentialName(s string) bool {
	return s != "" && len(s) <= 255 && s[0] != '.' && only(s, letters+digits+"._-@")
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

// maxFile is the most bytes that are read of any file: far more than settings
// for a fleet need, and little enough to hold in memory.
const maxFile = 1 << 20

var (
	errNotRegular = errors.New("not a regular file")
	errTooLarge   = fmt.Errorf("larger than %d bytes", maxFile)
)

// ReadFile reads a regular file of at most a mebibyte, following links, and
// returns the permissions of what it read. It does not wait, whatever path is.
// The error's text is without the path.
func ReadFile(path string) ([]byte, fs.FileMode, error) {
	data, mode, err := readFile(path)
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return data, mode, err
}

func readFile(path string) ([]byte, fs.FileMode, error) {
	// Looked at before it is opened: opening a FIFO sets its writer going, and
	// opening a device can do anything.
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errNotRegular
	}
	// It may be another file by now, for which opening must not wait.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errNotRegular
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, 0, err
	}
	if len(data) > maxFile {
		return nil, 0, errTooLarge
	}
	return data, info.Mode(), nil
}

// othersRead is about everybody who is neither the owner nor in the group.
const othersRead fs.FileMode = 0o004

// closeToOthers is the command that ends that.
func closeToOthers(path string) string { return "chmod o-r " + ShellWord(path) }

// ShellWord quotes s for a shell where it needs it.
func ShellWord(s string) string {
	if s != "" && s[0] != '-' && only(s, letters+digits+"/._-+@%,:=") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
