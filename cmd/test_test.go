package cmd

import (
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/message"
)

// Everybody may read the sample for everybody: in no part of it is there a name of ours.
func TestPublicSample(t *testing.T) {
	c := config.Default()
	c.Host, c.Labels = "db1.example.com", map[string]string{"role": "database"}
	a, err := newAccount(t).app().testMessage(c)
	if err != nil {
		t.Fatal(err)
	}
	m := message.New(publicTest(a))
	said := m.Headline.Fit(message.Form{}, 120).Text() + "\n" + m.Title.Fit(message.Form{}, 300).Text()
	for _, l := range m.Body(message.Form{}, 400, 8) {
		said += "\n" + l.Text()
	}
	if strings.Contains(said, "db1") || strings.Contains(said, "database") || strings.Contains(said, "alice") || !strings.Contains(said, "A test") || !strings.Contains(said, "Addresses of attackers") {
		t.Error(said)
	}
}
