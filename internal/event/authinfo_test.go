package event

import (
	"strings"
	"testing"
	"time"
)

// Whatever a user gets into SSH_AUTH_INFO_0, the login is stored.
func TestAuthInfoNeverMakesAnEventTooLarge(t *testing.T) {
	for name, info := range map[string]string{
		"nothing":           "",
		"control":           strings.Repeat("\x01", 1<<20),
		"quotes":            strings.Repeat(`"\`, 1<<20),
		"no UTF-8":          strings.Repeat("\xff", 1<<20),
		"wide":              strings.Repeat("𝔘 ", 1<<20),
		"endless lines":     strings.Repeat("x\n", 1<<20),
		"lines of all that": strings.Repeat("\"\\\x01\xff𝔘 \u202e x x\n", 1<<16),
	} {
		e := Event{
			ID: NewID(), Kind: KindLogin, Time: time.Now(), Host: strings.Repeat("𝔘", 999), User: strings.Repeat("𝔘", 999), Login: Login{Auth: Auth{Info: info}},
			Remote: Remote{Name: strings.Repeat("𝔘", 999), Claimed: strings.Repeat("𝔘", 999)},
		}
		b, err := e.Encode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if again := cleanAuthInfo(got.Login.Auth.Info); again != got.Login.Auth.Info {
			t.Errorf("%s: cleaned twice, it is %q, not %q", name, again, got.Login.Auth.Info)
		}
	}
}

func TestAuthInfoStaysAsSSHDWroteIt(t *testing.T) {
	const info = "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA+/x=\nkeyboard-interactive/pam"
	if got := cleanAuthInfo(info + "\n"); got != info {
		t.Errorf("got %q", got)
	}
	long := strings.Repeat("A", 10<<10)
	want := "publickey ssh-rsa …\npublickey ssh-rsa " + long
	if got := cleanAuthInfo("publickey ssh-rsa " + long + "\npublickey ssh-rsa " + long + "\n"); got != want {
		t.Errorf("of two large keys it is not the last that is kept: %.40q", got)
	}
}
