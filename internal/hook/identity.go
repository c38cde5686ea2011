package hook

import (
	"errors"
	"fmt"
	"os"
)

// IsMixed reports whether this process has several users or groups at once:
// pam_exec runs the hook of su and sudo with the caller's real uid and root's
// effective one. Whoever is the real user may signal such a process, and most
// programs take that user's environment for trusted.
func IsMixed() bool {
	r, e, s := userIDs()
	if r != e || s != e {
		return true
	}
	r, e, s = groupIDs()
	return r != e || s != e
}

// becomeEffective makes this process the effective user's entirely, and reports
// whether it was another's. Root's groups are its own, too: seteuid in a line of
// PAM leaves the caller's.
func becomeEffective() (was bool, err error) {
	uid, gid := os.Geteuid(), os.Getegid()
	was = IsMixed()
	switch {
	case !was && (uid != 0 || gid == 0):
		return was, nil
	case !reachesThreads():
		return was, errors.New("the limit on pending signals is too low for it")
	case uid != 0:
		return was, errors.Join(setGroupIDs(gid), setUserIDs(uid))
	}
	// In a user namespace groups may be fixed, which is no reason to go on with
	// a stranger's uid.
	return was, errors.Join(setGroupIDs(0), setGroups(0), setUserIDs(0))
}

// NotMixed is for every program but the hook, which makes itself one user's. They
// read settings, send secrets, and write files; which user's, nobody could say.
func NotMixed() error {
	if !IsMixed() {
		return nil
	}
	r, e, _ := userIDs()
	rg, eg, _ := groupIDs()
	return fmt.Errorf("refused: this process runs as one user for another (uid %d for %d, gid %d for %d)", e, r, eg, rg)
}
