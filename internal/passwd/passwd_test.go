package passwd

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const users = "root:x:0:0:root:/root:/bin/sh\nsshnotifyd:x:7:7::/:\n#sshnotify:x:9:9\n+sshnotify::::::\nsshnotify:x:998:997::/var/lib/sshnotify:/usr/sbin/nologin\n"

func TestByName(t *testing.T) {
	for situation, c := range map[string]struct {
		list string
		want User
	}{
		"the user is there":                    {users, User{"sshnotify", 998, 997, "/var/lib/sshnotify", "/usr/sbin/nologin"}},
		"no such user":                         {"root:x:0:0:root:/root:/bin/sh\n", User{}},
		"cut in half":                          {"sshnotify:x:99", User{}},
		"the last line has no end":             {"sshnotify:x:9:8", User{Name: "sshnotify", UID: 9, GID: 8}},
		"another system's line endings":        {"sshnotify:x:9:8::/h:/bin/sh\r\n", User{"sshnotify", 9, 8, "/h", "/bin/sh"}},
		"a negative id":                        {"sshnotify:x:-1:8:\n", User{}},
		"an id that chown would take for none": {"sshnotify:x:4294967295:4294967295:\n", User{}},
		"the second line is right":             {"sshnotify:x:x:8:\nsshnotify:x:9:8\n", User{Name: "sshnotify", UID: 9, GID: 8}},
		"empty":                                {"", User{}},
	} {
		got, ok := ByName(c.list, "sshnotify")
		if got != c.want || ok != (c.want != User{}) {
			t.Errorf("%s: %+v, %v", situation, got, ok)
		}
	}
	if ReadFile("/proc/nonexistent") != "" {
		t.Error("found in no file")
	}
}

func TestGroups(t *testing.T) {
	got := Groups("root:x:0:\nadm:x:4:syslog,alice\nbroken:x\nno:x:number:\n")
	want := []Group{{"root", 0, nil}, {"adm", 4, []string{"syslog", "alice"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzByName(f *testing.F) {
	f.Add(users)
	f.Add("sshnotify:x:-1:4294967296")
	f.Add("sshnotify:::\r\n::::")
	f.Fuzz(func(t *testing.T, list string) {
		if u, ok := ByName(list, "sshnotify"); u.UID < 0 || u.GID < 0 || !ok && u != (User{}) {
			t.Errorf("%q gives %+v, %v", list, u, ok)
		}
	})
}

func ExampleByID() {
	u, ok := ByID(users, 998)
	fmt.Println(u.Name, u.Home, ok)
	// Output: sshnotify /var/lib/sshnotify true
}
