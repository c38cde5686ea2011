package install

import (
	"fmt"
	"path"
	"strings"
)

// trusted says why a program must not be run by root's hook: whoever can
// replace it, or a folder above it, would be root at the next login.
func (h Host) trusted(p string) error {
	rp, err := h.resolve(p)
	if err != nil {
		return err
	}
	for at := rp; ; at = path.Dir(at) {
		f, err := h.stat(at)
		if err != nil {
			return err
		}
		switch {
		case !f.exists && at == rp:
			return fmt.Errorf("%s: not there", rp)
		case !f.exists:
			// The folder will be made, by root.
		case f.uid != 0 && f.uid != h.UID:
			return fmt.Errorf("%s belongs to %s, not to root", at, h.userName(f.uid))
		case f.mode&0o022 != 0:
			return fmt.Errorf("%s can be written by others than root (mode %s)", at, octal(f.mode))
		}
		if at == rp && f.mode&0o111 == 0 {
			return fmt.Errorf("%s: not executable", rp)
		}
		if at == "/" || !strings.HasPrefix(at, "/") {
			return nil
		}
	}
}
