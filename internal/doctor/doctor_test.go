package doctor

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

func TestNeeds(t *testing.T) {
	for name, c := range map[string]struct {
		needs Needs
		in    Target
		want  bool
	}{
		"nothing":                   {0, Target{}, true},
		"the host's":                {NeedsHost, Target{Host: true}, true},
		"the host's, of an account": {NeedsHost, Target{}, false},
		"an account's":              {NeedsAccount, Target{}, true},
		"an account's, of the host": {NeedsAccount, Target{Host: true}, false},
		"broken settings":           {NeedsSettings, Target{}, false},
		"no leave to go online":     {NeedsSettings | NeedsOnline, Target{Settings: true}, false},
		"leave to go online":        {NeedsSettings | NeedsOnline, Target{Settings: true, Online: true}, true},
	} {
		ran := false
		Run(t.Context(), c.in, []Check{{c.needs, func(context.Context, *Report) { ran = true }}})
		if ran != c.want {
			t.Errorf("%s: ran %v", name, ran)
		}
	}
}

// only returns the one result of a check.
func only(t *testing.T, c Check, now time.Time) Result {
	t.Helper()
	r := Run(t.Context(), Target{Now: now, Config: "/c/config.toml"}, []Check{c})
	if len(r.Results) != 1 {
		t.Fatalf("%+v", r.Results)
	}
	return r.Results[0]
}

func TestDullHostNames(t *testing.T) {
	for name, dull := range map[string]bool{
		"localhost": true, "localhost.localdomain": true, "ip-10-0-0-5": true, "ip-10-0-0-5.ec2.internal": true, "3f2a9c0d11ee": true,
		"ubuntu": true, "(none)": true, "db1": false, "db1.example.com": false, "ip-gateway": false, "vmhost": false, "debian-mirror": false,
	} {
		if got := only(t, HostName(name), time.Now()); (got.State == Warn) != dull || dull == (got.Hint == "") {
			t.Errorf("%q: %+v", name, got)
		}
	}
}

func TestClockBeforeTheBuild(t *testing.T) {
	if buildTime().IsZero() {
		t.Skip("the time of this build is not known")
	}
	if r := only(t, Clock(), time.Unix(0, 0)); r.State != Fail || !strings.Contains(r.Message, "this program is of") {
		t.Errorf("%+v", r)
	}
}

func TestDiskSpace(t *testing.T) {
	for name, c := range map[string]struct {
		free, inodes int64
		counted      bool
		want         State
	}{
		"enough":                          {1 << 30, 1 << 20, true, OK},
		"little":                          {50 << 20, 1 << 20, true, Warn},
		"none":                            {1 << 20, 1 << 20, true, Fail},
		"no inodes left":                  {1 << 30, 3, true, Fail},
		"few inodes":                      {1 << 30, 500, true, Warn},
		"a disk that counts no inodes":    {1 << 30, 0, false, OK},
		"little, and it counts no inodes": {50 << 20, 0, false, Warn},
	} {
		var r Report
		r.room("/x", c.free, c.inodes, c.counted)
		if got := r.Results[0].State; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestFoldersThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	r := Run(t.Context(), Target{}, []Check{Folders(dir+"/none", dir, time.Second, "make it")})
	if r.Results[0].State != Fail || r.Results[1].State != OK {
		t.Errorf("%+v", r.Results)
	}
}

func ExampleRun() {
	queue := Check{Run: func(_ context.Context, r *Report) { r.OK("queue", "nothing waits") }}
	unit := Check{Needs: NeedsHost, Run: func(_ context.Context, r *Report) {
		r.Fail("service", r.Command("install --system"), "not running")
	}}
	Run(context.Background(), Target{Host: true}, []Check{queue, unit}).WriteText(os.Stdout, false)
	// Output:
	// ✓ queue: nothing waits
	// ✗ service: not running
	//   hint: sudo sshnotify install --system
	// this host: 1 failed, 0 to look at
}
