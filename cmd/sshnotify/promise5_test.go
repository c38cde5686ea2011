package main

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// leaks looks for secrets in everything that the program has put anywhere.
type leaks struct {
	t       *testing.T
	secrets map[string]string // what it is → the secret
	seen    int               // texts that were looked through
}

func (l *leaks) look(where, text string) {
	l.t.Helper()
	l.seen++
	for what, secret := range l.secrets {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			if strings.Contains(text, form) {
				l.t.Errorf("%s is in %s: %.400q", what, where, text)
				break
			}
		}
	}
}

// tree looks through all files of a folder but those that hold the settings.
func (l *leaks) tree(dir string, but ...string) {
	l.t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		for _, b := range but {
			if path == b {
				return nil
			}
		}
		l.look("the name of a file", path)
		if !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		// What monitoring reads holds figures, and is everybody's.
		figures := strings.HasSuffix(path, "/figures.json") || strings.HasSuffix(path, "/sshnotify.prom")
		if info.Mode().Perm()&0o007 != 0 && !(figures && info.Mode().Perm() == 0o644) {
			l.t.Errorf("others may read %s: %v", path, info.Mode())
		}
		b, err := os.ReadFile(path)
		files++
		l.look(path, string(b))
		return err
	})
	if err != nil {
		l.t.Error(err)
	}
	if files == 0 {
		l.t.Errorf("nothing is in %s", dir)
	}
}

// trap is where redirects lead to. It must get nothing at all.
func trap(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed: %s %s %v", r.Method, r.URL, r.Header)
	}))
	t.Cleanup(s.Close)
	return s
}

// Slack and the provider do the worst they can, and say in their answers what
// they were told; and everything that the program writes is looked through.
func TestPromise5SecretsStaySecret(t *testing.T) {
	t.Parallel()
	elsewhere := trap(t)
	for name, behave := range map[string]func(secret string) standin.Answer{
		"all is well":           nil,
		"a removed webhook":     func(s string) standin.Answer { return standin.Answer{Status: 404, Body: "no_service"} },
		"its own word for it":   func(s string) standin.Answer { return standin.Answer{Status: 403, Body: "forbidden: " + s} },
		"a server error":        func(s string) standin.Answer { return standin.Answer{Status: 500, Body: "<h1>" + s + "</h1>"} },
		"a payload refused":     func(s string) standin.Answer { return standin.Answer{Status: 400, Body: "invalid_payload"} },
		"an answer not its own": func(s string) standin.Answer { return standin.Answer{Body: `{"error":"` + s + `"}`} },
		"a rate limit":          func(s string) standin.Answer { return standin.Answer{Status: 429, Body: s} },
		"a dropped connection":  func(s string) standin.Answer { return standin.Answer{Drop: true} },
		"a redirect":            func(s string) standin.Answer { return standin.Answer{Redirect: elsewhere.URL + s, Body: s} },
		"a permanent redirect": func(s string) standin.Answer {
			return standin.Answer{Status: 308, Redirect: elsewhere.URL + "/?u=" + s}
		},
		"a redirect to nonsense": func(s string) standin.Answer {
			return standin.Answer{Redirect: "http://" + strings.Trim(s, "/") + ":x/%zz"}
		},
		"a header that repeats it": func(s string) standin.Answer {
			return standin.Answer{Status: 500, Header: http.Header{"X-Request-Url": {s}, "Retry-After": {s}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			sample(t, name, "all is well", "a header that repeats it")
			t.Parallel()
			var mu sync.Mutex
			var secret string // of the request that is answered
			misbehave := func(get func(r *http.Request) string) standin.Behave {
				if behave == nil {
					return nil
				}
				return func(_ int, r *http.Request) *standin.Answer {
					mu.Lock()
					defer mu.Unlock()
					secret = get(r)
					a := behave(secret)
					return &a
				}
			}
			_, provider := newThreatJammer(t, standin.ThreatJammerOptions{
				Key: "tja_TopSecretKeyOfTheProvider0123456789",
				Behave: misbehave(func(r *http.Request) string {
					return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
				}),
			})
			s := newSwiftSite(t, standin.SlackOptions{Behave: misbehave(func(r *http.Request) string { return r.URL.Path })}, provider)
			b := newSandbox(t)
			l := newLeaks(t, s)
			run := func(args ...string) {
				t.Helper()
				r := s.do(call{args: append(args, "--config", s.settings, "--log-level", "debug"), within: b.within()})
				l.look("the output of "+args[0], r.out+r.stderr)
			}
			s.login("alice", aliceIP)
			run("deliver", "--once")
			s.forgetPace()
			s.login("bob", netip.MustParseAddr("203.0.113.8"))
			run("deliver", "--once", "--syslog")
			run("test")
			run("lookup", "203.0.113.9")
			run("lookup", "--json", "203.0.113.10")
			run("preview")
			run("preview", "--format", "text")
			run("queue")
			run("queue", "--json")
			run("config", "check")
			for _, f := range append(s.left("cur"), s.left("failed")...) {
				run("queue", "show", strings.TrimSuffix(f, ".json"))
			}
			for _, m := range s.slack.Messages() {
				l.look("a message", string(m.Raw))
			}
			l.look("the system log", b.logged())
			l.tree(s.dir, s.settings)
			if l.seen < 12 {
				t.Errorf("only %d texts were looked through", l.seen)
			}
		})
	}
}

// newLeaks looks for the secrets of a site's settings.
func newLeaks(t *testing.T, s *site) *leaks {
	t.Helper()
	u, err := url.Parse(s.slack.URL())
	if err != nil {
		t.Fatal(err)
	}
	return &leaks{t: t, secrets: map[string]string{
		"the webhook's path":  strings.TrimPrefix(u.Path, "/"),
		"the webhook's token": u.Path[strings.LastIndex(u.Path, "/")+1:],
		"the provider's key":  "tja_TopSecretKeyOfTheProvider0123456789",
		"the proxy's word":    "TopSecretWordOfTheProxy",
	}}
}

// What anybody on the host can see of a worker: its command line, and for its
// own user its environment.
func TestPromise5TheProcessListHoldsNoSecret(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		lacking(t, "/proc")
	}
	_, provider := newThreatJammer(t, standin.ThreatJammerOptions{Key: "tja_TopSecretKeyOfTheProvider0123456789"})
	s := newSwiftSite(t, standin.SlackOptions{Hang: true}, provider)
	l := newLeaks(t, s)
	env := append([]string{"USER_SECRET=TopSecretWordOfTheProxy", "HTTPS_PROXY=http://u:TopSecretWordOfTheProxy@192.0.2.1:1"}, pamEnv("open_session", "alice", aliceIP)...)
	if r := s.do(call{env: env, args: []string{"hook", "--spool", s.spool, "--config", s.settings}}); r != (result{}) {
		t.Fatalf("hook: %+v", r)
	}
	if err := s.slack.WaitRequests(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	all := s.workers()
	if len(all) != 1 {
		t.Fatalf("%d workers, want 1", len(all))
	}
	for _, file := range []string{"cmdline", "environ"} {
		path := fmt.Sprintf("/proc/%d/%s", all[0], file)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) == 0 {
			t.Errorf("%s is empty", path)
		}
		l.look(path, string(b))
		for _, word := range []string{"PAM_", "SSH_", "alice", aliceIP.String()} {
			if strings.Contains(string(b), word) {
				t.Errorf("%s has %s of the login's environment: %q", path, word, b)
			}
		}
	}
	for fd := range 3 {
		if to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", all[0], fd)); err != nil || to != os.DevNull {
			t.Errorf("the worker's descriptor %d leads to %q, %v", fd, to, err)
		}
	}
	if sid := statField(all[0], 6); sid != fmt.Sprint(all[0]) {
		t.Errorf("the worker is in the session of %s, not in its own", sid)
	}
	_ = syscall.Kill(all[0], syscall.SIGKILL)
}

// Settings that are wrong are told with line and key, and never with the value
// of a secret.
func TestPromise5WrongSettingsAreToldWithoutSecrets(t *testing.T) {
	t.Parallel()
	s := newSwiftSite(t, standin.SlackOptions{}, "")
	l := newLeaks(t, s)
	hook, key, word := s.slack.URL(), l.secrets["the provider's key"], l.secrets["the proxy's word"]
	for name, text := range map[string]string{
		"a URL without a scheme":     fmt.Sprintf("[destination.slack]\nwebhook_url = %q\n", strings.TrimPrefix(hook, "http://")),
		"http to somewhere":          fmt.Sprintf("[destination.slack]\nwebhook_url = %q\n", strings.Replace(hook, "127.0.0.1", "192.0.2.1", 1)),
		"a URL with a space":         fmt.Sprintf("[destination.slack]\nwebhook_url = %q\n", hook+" x"),
		"a URL that is no URL":       fmt.Sprintf("[destination.slack]\nwebhook_url = %q\n", "https://[::1/"+hook),
		"a URL in a file's place":    fmt.Sprintf("[destination.slack]\nwebhook_url_file = %q\n", hook),
		"a path of it, in its place": fmt.Sprintf("[destination.slack]\nwebhook_url_file = %q\n", "/"+l.secrets["the webhook's path"]),
		"a list of them":             fmt.Sprintf("[destination.slack]\nwebhook_url = [%q]\n", hook),
		"under a misspelt key":       fmt.Sprintf("[destination.slack]\nwebhook_ulr = %q\n", hook),
		"as a table":                 fmt.Sprintf("[destination.slack]\nwebhook_url = {url = %q}\n", hook),
		"without quotes":             fmt.Sprintf("[destination.slack]\nwebhook_url = %s\n", hook),
		"without its end":            fmt.Sprintf("[destination.slack]\nwebhook_url = \"%s\n", hook),
		"twice":                      fmt.Sprintf("[destination.slack]\nwebhook_url = %q\nwebhook_url = %q\n", hook, hook),
		"a key with a line break":    fmt.Sprintf("[provider.threatjammer]\nurl = \"https://api.example.com\"\napi_key = %q\n", key[:8]+"\n"+key),
		"a key for a URL":            fmt.Sprintf("[provider.threatjammer]\nurl = %q\napi_key = \"x\"\n", key),
		"a key in the URL":           fmt.Sprintf("[provider.threatjammer]\nurl = \"https://%s@api.example.com\"\napi_key = \"x\"\n", key),
		"a key in the URL's query":   fmt.Sprintf("[provider.threatjammer]\nurl = \"https://api.example.com/?key=%s\"\napi_key = \"x\"\n", key),
		"a proxy that is none":       fmt.Sprintf("[outbound]\nproxy = \"ftp://u:%s@proxy.example.com\"\n", word),
		"a proxy with half a word":   fmt.Sprintf("[outbound]\nproxy = \"http://u:%s%%zz@proxy.example.com\"\n", word),
		"in the wrong table":         fmt.Sprintf("[risk]\nyellow_above = %q\n", key),
		"for a time zone":            fmt.Sprintf("time_zone = %q\n", key),
		"for a duration":             fmt.Sprintf("[enrich]\ntimeout = %q\n", key),
	} {
		s.configure(text)
		commands := [][]string{{"config", "check"}, {"deliver", "--once", "--spool", s.spool}, {"test"}, {"lookup", "203.0.113.7"}, {"queue"}, {"preview"}}
		if !endToEnd() { // they read the settings alike
			commands = commands[:2]
		}
		for _, args := range commands {
			r := s.run(nil, append(args, "--config", s.settings, "--log-level", "debug")...)
			if r.code != 78 || !strings.HasPrefix(r.stderr, "sshnotify: error: "+s.settings) {
				t.Errorf("%s: %s: exit %d, want 78: %s", name, args, r.code, r.stderr)
			}
			l.look(name+", "+args[0], r.out+r.stderr)
		}
	}
	for _, row := range []struct{ name, text string }{
		{"a proxy that nobody is at", fmt.Sprintf("[outbound]\nproxy = \"http://u:%s@127.0.0.1:9\"\n[destination.slack]\nwebhook_url = \"https://slack.example.com/%s\"\n", word, l.secrets["the webhook's path"])},
	} {
		s.configure(row.text)
		r := s.run(nil, "test", "--config", s.settings, "--log-level", "debug")
		if r.code != 1 {
			t.Errorf("%s: exit %d: %s%s", row.name, r.code, r.out, r.stderr)
		}
		l.look(row.name, r.out+r.stderr)
	}
}

// Settings that others can read are not used, for they may have been read.
func TestPromise5SettingsForEverybodyAreRefused(t *testing.T) {
	t.Parallel()
	s := newSwiftSite(t, standin.SlackOptions{}, "")
	file := filepath.Join(s.dir, "url")
	if err := os.WriteFile(file, []byte(s.slack.URL()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	chmod := func(path string, mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, want int) {
		t.Helper()
		if r := s.run(nil, "config", "check", "--config", s.settings); r.code != want {
			t.Errorf("%s: exit %d, want %d: %s", what, r.code, want, r.stderr)
		}
	}
	check("the secret in a file that is ours", 0)
	chmod(s.settings, 0o644)
	check("the secret in a file for everybody", 78)
	s.configure(fmt.Sprintf("[destination.slack]\nwebhook_url_file = %q\n", file))
	check("the settings for everybody, the secret not", 0)
	chmod(file, 0o604)
	check("the secret's own file for everybody", 78)
	chmod(file, 0o640)
	check("the secret for our group", 0)
	if r := s.run(nil, "test", "--config", s.settings); r.code != 0 || len(s.slack.Messages()) != 1 {
		t.Errorf("the secret's file does not work: %+v", r)
	}
}
