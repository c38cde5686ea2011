package gate

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"
)

// Challenge is the second step of one connection, which it is bound to: all tries of
// a connection have the same, and no other connection does.
type Challenge struct {
	User   string    `json:"user"`
	Factor string    `json:"factor"`
	Ref    string    `json:"ref"` // shown beside the code, there and here
	Salt   []byte    `json:"salt,omitempty"`
	Sum    []byte    `json:"sum,omitempty"` // of the code that was sent
	Made   time.Time `json:"made"`
	Ending string    `json:"ending,omitempty"` // of the number that it went to
	Tries  int       `json:"tries"`            // wrong ones
	Passed bool      `json:"passed,omitempty"`
	Told   bool      `json:"told,omitempty"` // its refusal
}

// challenges are those of the connections that there are, in a folder that does not
// outlive the boot.
type challenges struct{ dir string }

func challengeFile(id string) string { return "login-" + id + ".json" }

// get returns the challenge of a connection; fs.ErrNotExist where there is none.
func (cs challenges) get(id string) (Challenge, error) {
	var c Challenge
	d, err := openOwn(cs.dir)
	if err != nil {
		return c, err
	}
	defer d.Close()
	return c, readDocument(d, challengeFile(id), &c)
}

func (cs challenges) update(ctx context.Context, id string, change func(*Challenge) error) error {
	return update(ctx, cs.dir, challengeFile(id), change)
}

// sealWith keeps a code of the challenge's, which it returns.
func (c *Challenge) sealWith(code string) {
	c.Salt = make([]byte, recoverySalt)
	rand.Read(c.Salt)
	c.Sum = seal(c.Salt, code)
}

// opens reports whether code is the one that was sent, and has not expired.
func (c *Challenge) opens(code string, now time.Time, ttl time.Duration) bool {
	same := subtle.ConstantTimeCompare(c.Sum, seal(c.Salt, code)) == 1
	age := now.Sub(c.Made)
	return same && len(c.Sum) > 0 && age >= 0 && age < ttl
}

// sweep forgets the challenges of connections that are long over. LoginGraceTime
// ends a login after two minutes, unless it was set to more.
func (cs challenges) sweep(now time.Time) error {
	d, err := openOwn(cs.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	files, err := os.ReadDir(cs.dir)
	for _, f := range files {
		info, statErr := f.Info()
		if statErr != nil || !strings.HasPrefix(f.Name(), "login-") || now.Sub(info.ModTime()) < challengeAge {
			continue
		}
		err = errors.Join(err, d.Remove(f.Name()))
	}
	return err
}

// challengeAge is how long a challenge is kept: longer than any login takes.
const challengeAge = time.Hour
