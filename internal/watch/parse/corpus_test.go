package parse_test

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

func explain(text string) parse.Result {
	return parse.Explain(line.Line{Text: text}, parse.Options{Now: november})
}

// difference is why a line that a corpus counts as an attempt is none here. Its
// address is the same, unless the line is of a service that is not watched.
type difference struct {
	has, reason string
}

var differences = []difference{
	{"Did not receive identification string from ", "nobody tried to log in: every check of whether the port is open does this"},
	{"sshd[50112]: Connection closed by 66.240.236.119 [preauth]", "no user was named: checks and key scans do this"},
	{"sshd[50112]: Connection closed by 2001:db8::a11:beef:7ac0 [preauth]", "no user was named: checks and key scans do this"},
	{"sshd[36648]: Connection closed by 118.27.24.104 port 33594 [preauth]", "no user was named: checks and key scans do this"},
	{"Disconnected from 1.2.3.4 port 30761 [preauth]", "no user was named: checks and key scans do this"},
	{"(user 'root', 0 fails)", "dropbear says itself that nothing was tried"},
	{"Exit before auth from <::ffff:10.42.63.135:50288>: Exited normally", "no user was named: checks and key scans do this"},
}

func (d difference) of(text string) bool { return strings.Contains(text, d.has) }

// notWatched are sshguard's numbers of services that no parser here is for: mail,
// web, databases, Cockpit, OpenVPN, BIND, FreeBSD's ftpd, another sshguard.
var notWatched = map[string]bool{
	"110": true, "120": true, "200": true, "210": true, "220": true, "230": true, "240": true, "250": true, "260": true, "270": true, "280": true,
	"300": true, "340": true, "350": true, "360": true, "370": true, "380": true, "400": true, "410": true, "500": true, "600": true, "601": true, "700": true,
}

var sshguardParsers = map[string]string{"100": "sshd", "101": "dropbear", "310": "proftpd", "320": "pureftpd", "330": "vsftpd"}

func TestSSHGuardsCases(t *testing.T) {
	data, err := os.ReadFile("testdata/sshguard/tests.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	cases, differ := 0, map[string]int{}
	for i := 0; i+2 < len(lines); i++ {
		if lines[i+2] != "M" && !strings.HasPrefix(lines[i+2], "M ") {
			continue
		}
		text, want := lines[i], strings.Fields(lines[i+1])
		i += 2
		cases++
		got := explain(text)
		if want[0] == "*" {
			if got.Outcome == parse.Failure {
				t.Errorf("%s\nis no attempt, but %s takes it for one", text, got.Parser)
			}
			continue
		}
		if notWatched[want[0]] {
			differ["a service that is not watched"]++
			if got.Outcome != parse.None {
				t.Errorf("%s\nis of a service that is not watched, but %s takes it", text, got.Parser)
			}
			continue
		}
		outcome := parse.Failure
		for _, d := range differences {
			if d.of(text) {
				differ[d.reason]++
				outcome = parse.Other
			}
		}
		if got.Outcome != outcome || got.IP.String() != want[1] || got.Parser != sshguardParsers[want[0]] {
			t.Errorf("%s\n%s %s %s, not %s %s", text, got.Parser, got.Outcome, got.IP, outcome, want[1])
		}
	}
	if cases != 216 {
		t.Errorf("%d cases", cases)
	}
	t.Log(differ)
}

var assertion = regexp.MustCompile(`^results\["s01-parse"\]\["[^"]*"\]\[(\d+)\]\.(Success|Evt\.Meta\["(source_ip|target_user|username|log_type)"\]) == (.*)$`)

// crowdsec's assertions name each line's address and user. What succeeded there is
// an attempt, or a login.
func TestCrowdSecsCases(t *testing.T) {
	files, err := filepath.Glob("testdata/crowdsec/*/parser.assert")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	checked := 0
	for _, file := range files {
		logs, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*.log"))
		data, err := os.ReadFile(logs[0])
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for l := range strings.Lines(string(data)) {
			if l = strings.TrimSuffix(l, "\n"); l != "" {
				lines = append(lines, l)
			}
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		for in := bufio.NewScanner(f); in.Scan(); {
			found := assertion.FindStringSubmatch(in.Text())
			if found == nil {
				continue
			}
			n, _ := strconv.Atoi(found[1])
			if n >= len(lines) {
				continue // crowdsec counts an empty last line
			}
			text, want := lines[n], strings.Trim(found[4], `"`)
			got := explain(text)
			different := false
			for _, d := range differences {
				different = different || d.of(text)
			}
			checked++
			switch {
			case found[2] == "Success":
				// crowdsec's FTP parsers leave logins out.
				isAttempt := got.Outcome == parse.Failure || got.Outcome == parse.Success && got.Parser == "sshd"
				if want := want == "true" && !different; isAttempt != want {
					t.Errorf("%s:\n%s\n%s %s", file, text, got.Parser, got.Outcome)
				}
			case found[3] == "source_ip" && got.IP.String() != want:
				t.Errorf("%s:\n%s\n%s, not %s", file, text, got.IP, want)
			case (found[3] == "target_user" || found[3] == "username") && !different && got.User != want:
				t.Errorf("%s:\n%s\n%q, not %q", file, text, got.User, want)
			}
		}
		f.Close()
	}
	if checked < 150 {
		t.Errorf("only %d assertions were understood", checked)
	}
	t.Log(checked, "assertions")
}

func TestEveryDifferenceIsOfALine(t *testing.T) {
	var all strings.Builder
	files, _ := filepath.Glob("testdata/crowdsec/*/*.log")
	for _, f := range append(files, "testdata/sshguard/tests.txt") {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	for _, d := range differences {
		if !strings.Contains(all.String(), d.has) {
			t.Errorf("%q is in no corpus", d.has)
		}
	}
}
