package install

import (
	"bytes"
	"testing"
)

// Whatever a file of pam.d holds: the hook is refused, or put in so that taking
// it out gives back the file.
func FuzzHookRoundTrip(f *testing.F) {
	for _, host := range []string{"debian12", "fedora42", "arch", "alpine"} {
		for name, text := range fixture(f, host) {
			if len(name) > 11 && name[:11] == "/etc/pam.d/" {
				f.Add([]byte(text))
			}
		}
	}
	f.Add([]byte("session required pam_loginuid.so"))
	f.Add([]byte("-session [default=1 x=\\]] [pam unix.so] [a b]\\\n c\nsession required p\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h := Host{Root: "/nonexistent"}
		rules, err := parsePAM(text)
		if err == nil && len(hooks(rules)) > 0 {
			return
		}
		got, err := h.setHook(text, testHook)
		if err != nil {
			return
		}
		again, err := h.setHook(got, testHook)
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("twice is not once: %v\n%q\n%q", err, got, again)
		}
		back, err := cutHook(got)
		if err != nil || !bytes.Equal(back, text) {
			t.Fatalf("%v: put in\n%q, taken out\n%q, was\n%q", err, got, back, text)
		}
	})
}

func FuzzBlockRoundTrip(f *testing.F) {
	for _, s := range startFileTexts {
		f.Add([]byte(s))
	}
	block := shBlock(Host{}.hookCommand("/usr/bin/sshnotify", "/c", "/s"))
	f.Fuzz(func(t *testing.T, text []byte) {
		blocks, err := findBlocks(text)
		had := err == nil && len(blocks) > 0
		got, err := setBlock(text, block)
		if err != nil {
			return
		}
		again, err := setBlock(got, block)
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("twice is not once: %v\n%q\n%q", err, got, again)
		}
		back, err := cutBlock(got)
		if err != nil {
			t.Fatal(err)
		}
		if !had && !bytes.Equal(back, text) {
			t.Fatalf("put in\n%q, taken out\n%q, was\n%q", got, back, text)
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"v":1,"items":[{"kind":"file","path":"/a","sha256":"00","before":"QQ==","mode":420}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		w := newWorld(t, map[string]string{"/r": string(text)})
		r, err := w.loadRecord("/r")
		if err != nil {
			return
		}
		if _, err := r.bytes(); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzSSHD(f *testing.F) {
	f.Add([]byte("Include *.conf\nUsePAM=yes\nPAMServiceName \"x\"\nMatch all\nUsePAM no\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		w := newWorld(t, map[string]string{"/etc/ssh/sshd_config": string(text)})
		if s := w.sshd(t.Context()); s.Service == "" {
			t.Fatalf("no service name: %+v", s)
		}
	})
}
