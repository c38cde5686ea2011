package spool

import (
	"errors"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/passwd"
)

// serviceUser is whom install makes the service run as.
const serviceUser = "sshnotify"

// access is whose a folder is. A uid or gid of -1 is left as it comes.
type access struct {
	mode     uint32
	uid, gid int
}

// subfolderAccess says whose a subfolder of root is to be. On the host, with G
// the group of the spool folder: the service (G) may take files out of new/ but
// only root makes them, in tmp/, which the service can pass through and not
// write to, so that it can't plant a link where root writes. cur/ and failed/
// are the service's own.
func (s *Spool) subfolderAccess(root folder, name string) (access, error) {
	if !s.o.Host {
		return access{0o700, -1, -1}, nil
	}
	st, err := root.stat()
	if err != nil {
		return access{}, err
	}
	a := access{0o700, 0, int(st.Gid)}
	switch name {
	case tmpName:
		a.mode = 0o2710
	case newName:
		a.mode = 0o2770
	default:
		if st.Gid != 0 {
			if uid, _, ok := s.o.service(); ok {
				a.uid = uid
			}
		}
	}
	return s.mine(a), nil
}

// mine leaves owners alone where this process could not give files away.
func (s *Spool) mine(a access) access {
	if s.o.UID != 0 {
		a.uid, a.gid = -1, -1
	}
	return a
}

// sub opens a subfolder of root, and makes it where it is missing.
func (s *Spool) sub(root folder, name string) (folder, error) {
	d, err := root.folder(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	a, err := s.subfolderAccess(root, name)
	if err != nil {
		return folder{}, err
	}
	if err := root.make(name, a); err != nil {
		return folder{}, err
	}
	return root.folder(name)
}

func (s *Spool) makeSubfolders(root folder) error {
	for _, name := range []string{tmpName, newName, curName, failedName} {
		d, err := s.sub(root, name)
		if err != nil {
			return err
		}
		d.close()
	}
	return nil
}

// makeOverflow opens the overflow folder, and makes it where it is missing: for
// the group of the spool folder, else, where that can't be asked, for the
// service's own, since the service must be able to read there what was put
// while the spool was not mounted; else for root alone.
func (s *Spool) makeOverflow() (folder, error) {
	parent, err := openFolder(filepath.Dir(s.o.Overflow), s.fault)
	if err != nil {
		return folder{}, err
	}
	defer parent.close()
	name := filepath.Base(s.o.Overflow)
	d, err := parent.folder(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	a := access{0o700, 0, 0}
	var st unix.Stat_t
	if err := unix.Stat(s.o.Dir, &st); err == nil {
		a.mode, a.gid = 0o750, int(st.Gid)
	} else if _, gid, ok := s.o.service(); ok {
		a.mode, a.gid = 0o750, gid
	}
	if err := parent.make(name, s.mine(a)); err != nil {
		return folder{}, err
	}
	return parent.folder(name)
}

// make makes a folder inside d; that it is there already is no error.
func (d folder) make(name string, a access) error {
	// Under another name first: whoever is killed between mkdir and chmod would
	// leave a folder that the service can't enter, for good.
	temp := "." + name + "-" + tempName()
	err := d.do("mkdir", name, func() error { return unix.Mkdirat(d.fd(), temp, 0o700) })
	if err != nil {
		return err
	}
	err = d.dress(temp, a)
	if err == nil {
		err = d.renameNew(temp, d, name)
	}
	if unsupported(err) {
		// A plain rename replaces nothing but an empty folder, which another
		// process made this moment: whoever is about to publish in that one gets
		// an error from link(2).
		err = d.rename(temp, d, name)
	}
	if err != nil {
		d.do("rmdir", temp, func() error { return unix.Unlinkat(d.fd(), temp, unix.AT_REMOVEDIR) })
	}
	if err != nil && !errors.Is(err, fs.ErrExist) { // another process was faster
		return err
	}
	// A file that is safe in a folder that is not would be lost with it.
	return d.sync()
}

// dress gives a folder inside d its owner and mode.
func (d folder) dress(name string, a access) error {
	sub, err := d.folder(name)
	if errors.Is(err, fs.ErrPermission) {
		// A umask that forbids the owner too. By name, since it can't be opened;
		// root, for whom somebody might swap it for a link, never comes here.
		if err := d.do("fchmodat", name, func() error { return unix.Fchmodat(d.fd(), name, 0o700, 0) }); err != nil {
			return err
		}
		sub, err = d.folder(name)
	}
	if err != nil {
		return err
	}
	defer sub.close()
	if a.uid >= 0 || a.gid >= 0 {
		if err := sub.do("fchown", "", func() error { return unix.Fchown(sub.fd(), a.uid, a.gid) }); err != nil {
			return err
		}
	}
	// After the owner, because a change of owner may clear the setgid bit; and
	// not left to mkdir, because of the umask.
	return sub.do("fchmod", "", func() error { return unix.Fchmod(sub.fd(), a.mode) })
}

// makeAll makes a user's spool folder and what is missing above it.
func makeAll(path string, fault func(op, path string) error) error {
	above := filepath.Dir(path)
	parent, err := openFolder(above, fault)
	if errors.Is(err, fs.ErrNotExist) && above != path {
		if err := makeAll(above, fault); err != nil {
			return err
		}
		parent, err = openFolder(above, fault)
	}
	if err != nil {
		return err
	}
	defer parent.close()
	return parent.make(filepath.Base(path), access{0o700, -1, -1})
}

// service returns the service's user.
func (o Options) service() (uid, gid int, ok bool) {
	u, ok := passwd.ByName(passwd.ReadFile(o.Passwd), serviceUser)
	return u.UID, u.GID, ok
}
