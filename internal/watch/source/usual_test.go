package source

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUsualSources(t *testing.T) {
	for name, c := range map[string]struct {
		journal bool
		files   []string
		want    []string
	}{
		"Debian with a journal":        {true, []string{"/var/log/auth.log"}, []string{"journal"}},
		"and vsftpd, which has a log":  {true, []string{"/var/log/auth.log", "/var/log/vsftpd.log"}, []string{"journal", "vsftpd.log"}},
		"Debian without one":           {false, []string{"/var/log/auth.log"}, []string{"auth.log"}},
		"Fedora without one":           {false, []string{"/var/log/secure", "/var/log/vsftpd.log"}, []string{"secure", "vsftpd.log"}},
		"both names":                   {false, []string{"/var/log/auth.log", "/var/log/secure"}, []string{"auth.log", "secure"}},
		"nothing":                      {false, nil, nil},
		"a journal alone":              {true, nil, []string{"journal"}},
		"a log that is nobody's usual": {false, []string{"/var/log/messages"}, nil},
	} {
		var got []string
		for _, s := range Usual(func(path string) bool { return slices.Contains(c.files, path) }, c.journal) {
			got = append(got, s.Name)
			if journal := s.Type == JournalType; journal != (s.Settings.Reads() == theJournal) {
				t.Errorf("%s: %+v", name, s)
			}
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
