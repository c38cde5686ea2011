package install

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCovered(t *testing.T) {
	const (
		own     = "session optional pam_exec.so quiet /usr/bin/sshnotify hook --spool /var/spool/sshnotify --no-worker\n"
		ofAll   = "session optional pam_exec.so quiet /usr/bin/sshnotify hook --spool /var/spool/sshnotify --services sshd,su,sudo --no-worker\n"
		unix    = "session required pam_unix.so\n"
		include = "@include common-session\n"
		debian  = "session [default=1] pam_permit.so\nsession requisite pam_deny.so\nsession required pam_permit.so\n" + unix
	)
	for _, row := range []struct {
		name    string
		service string
		pam     map[string]string
		spool   string // "": not covered
	}{
		{"a line of its own", "sshd", map[string]string{"sshd": own + unix}, "/var/spool/sshnotify"},
		{"none", "sshd", map[string]string{"sshd": unix}, ""},
		{"a line that does not name the service", "su", map[string]string{"su": own + unix}, ""},
		{"one that does", "su", map[string]string{"su": ofAll + unix}, "/var/spool/sshnotify"},
		{"su -, which is not named", "su-l", map[string]string{"su-l": "session include su\n", "su": ofAll + unix}, ""},
		{"one included", "sudo", map[string]string{"sudo": include, "common-session": debian + ofAll}, "/var/spool/sshnotify"},
		{"the profile's line keeps to sshd", "su", map[string]string{"su": include, "common-session": debian + own}, ""},
		{"with =, and several", "su", map[string]string{"su": "session optional pam_exec.so quiet /usr/bin/sshnotify hook --services=sshd --services=su --spool=/srv/sshnotify/\n" + unix}, "/srv/sshnotify"},
		{"by hand", "sshd", map[string]string{"sshd": unix + "session optional pam_exec.so quiet /usr/bin/sshnotify hook\n"}, "/var/spool/sshnotify"},
		{"in a comment", "sshd", map[string]string{"sshd": "#" + own + unix}, ""},
		{"for logouts alone", "sshd", map[string]string{"sshd": "session optional pam_exec.so type=close_session /usr/bin/sshnotify hook\n" + unix}, ""},
		{"in another stack", "sshd", map[string]string{"sshd": "auth optional pam_exec.so /usr/bin/sshnotify hook\n" + unix}, ""},
		{"behind a rule that may end the stack", "sshd", map[string]string{"sshd": "session sufficient pam_succeed_if.so user = deploy\n" + own + unix}, ""},
		{"jumped over for some", "sshd", map[string]string{"sshd": "session [success=1 default=ignore] pam_succeed_if.so user = deploy\n" + own + unix}, ""},
		{"behind what is jumped over", "sshd", map[string]string{"sshd": "session [success=1 default=ignore] pam_succeed_if.so user = deploy\n" + unix + own}, "/var/spool/sshnotify"},
		{"a service without a file", "su", map[string]string{"other": unix}, ""},
		{"includes without end", "su", map[string]string{"su": "@include su\n"}, "error"},
	} {
		t.Run(row.name, func(t *testing.T) {
			files, now := map[string]string{}, time.Now().Truncate(time.Second)
			for name, text := range row.pam {
				files["etc/pam.d/"+name] = text
			}
			w := newWorld(t, files)
			last := now.Add(-time.Hour)
			for name := range row.pam {
				if err := os.Chtimes(filepath.Join(w.Root, "etc/pam.d", name), last, last); err != nil {
					t.Fatal(err)
				}
				last = last.Add(time.Minute)
			}
			c, ok, err := w.Covered(row.service)
			if (err != nil) != (row.spool == "error") {
				t.Fatal(err)
			}
			if err == nil && (ok != (row.spool != "") || c.Spool != row.spool) {
				t.Errorf("covered %v, %+v", ok, c)
			}
			if newest := last.Add(-time.Minute); ok && !c.Since.Equal(newest) {
				t.Errorf("since %v, not %v", c.Since, newest)
			}
		})
	}
}
