package source

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUsualSources(t *testing.T) {
	for journal, want := range map[bool][]string{
		true:  {"journal", "vsftpd.log"},
		false: {"auth.log", "secure", "vsftpd.log"},
	} {
		var got []string
		for _, s := range Usual(journal) {
			got = append(got, s.Name)
			if journal := s.Type == JournalType; journal != (s.Settings.Reads() == theJournal) || journal == s.Usual {
				t.Errorf("%+v", s)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("journal %v: %s", journal, d)
		}
	}
}
