package install

import (
	"fmt"
	"path"
)

// trusted says why a program must not be run by root's hook: whoever can
// replace it, or a folder above it, would be root at the next login.
func (h Host) trusted(p string) error {
	rp, err := h.resolve(p)
	if err != nil {
		return err
	}
	f, err := h.stat(rp)
	switch {
	case err != nil:
		return err
	case !f.exists || f.dir:
		return fmt.Errorf("%s: not there", rp)
	case f.mode&0o111 == 0:
		return fmt.Errorf("%s: not executable", rp)
	}
	return h.rootsOwn(rp)
}

// rootsOwn says who besides root could replace what is at a path, or will be.
func (h Host) rootsOwn(p string) error {
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
		case !f.exists:
			// It will be made, by root.
		case f.uid != 0 && f.uid != h.UID:
			return fmt.Errorf("%s belongs to %s, not to root", at, h.userName(f.uid))
		case f.mode&0o002 != 0 || f.mode&0o020 != 0 && f.gid != 0:
			return fmt.Errorf("%s can be written by others than root (mode %s)", at, octal(f.mode))
		}
		if at == "/" {
			return nil
		}
	}
}
