package cmd

import (
	"testing"

	"github.com/sshnotify/sshnotify/internal/gate"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// What install writes can be used as it is.
func TestGateSettingsOfInstallLoad(t *testing.T) {
	s := gate.DefaultSettings()
	if err := strictoml.Unmarshal(gateFile, []byte(gateSettings), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Gate.When) != len(gate.DefaultSettings().Gate.When) {
		t.Errorf("when: %q", s.Gate.When)
	}
}
