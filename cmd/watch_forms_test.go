package cmd

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// What --explain says of a line is what --replay makes of it.
func TestExplainAndReplayAgree(t *testing.T) {
	data, err := os.ReadFile("../internal/watch/parse/testdata/forms.txt")
	if err != nil {
		t.Fatal(err)
	}
	p := newAccount(t)
	p.write("config.toml", "time_zone = \"UTC\"\n")
	var part []string
	rows := 0
	for l := range strings.Lines(string(data)) {
		l = strings.TrimSuffix(l, "\n")
		if l == "" || strings.HasPrefix(l, "#") && len(part) == 0 {
			continue
		}
		if part = append(part, l); len(part) < 3 {
			continue
		}
		text := part[2]
		part = nil
		rows++
		said := func(o watchOptions, in string) string {
			p.in = in
			o.app = p.app()
			o.app.configFile = p.home + "/config.toml"
			var err error
			if o.explain != "" {
				err = o.explainLine()
			} else {
				err = o.replayFile(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			return p.out.String()
		}
		var e parse.Explanation
		if err := json.Unmarshal([]byte(said(watchOptions{explain: text, json: true}, "")), &e); err != nil {
			t.Fatal(err)
		}
		want := "not understood 1"
		if e.Outcome != parse.None {
			want = fmt.Sprintf("understood by %s 1", e.Parser)
		}
		got := strings.Join(strings.Fields(said(watchOptions{replay: "-"}, text+"\n")), " ") + " "
		if !strings.Contains(got, want+" ") || e.Form != "" && !strings.Contains(got, "unread, "+e.Parser+": "+e.Form+" 1 ") {
			t.Errorf("%s\nis %s %s %s explained, and replayed: %s", text, e.Parser, e.Outcome, e.Form, got)
		}
	}
	if rows < 150 {
		t.Errorf("%d lines", rows)
	}
}

// A file is replayed from two buffers that are filled again and again, standard
// input from memory of its own: what is found is the same, whatever of the lines is
// kept for later ones.
func TestReplayedFileIsAsStandardInput(t *testing.T) {
	standin.Gate(t)
	var corpus []string
	err := filepath.WalkDir("../internal/watch/parse/testdata", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".log" && filepath.Ext(path) != ".txt" {
			return err
		}
		data, err := os.ReadFile(path)
		for l := range strings.Lines(string(data)) {
			corpus = append(corpus, l)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p := newAccount(t)
	p.write("config.toml", `time_zone = "UTC"
[watch]
notify = "each"
[[pattern]]
name = "closed"
match = '(?i)closed by (?P<who>[^ ]+)'
title = "${who} left"
threshold = {type = "both", count = 3, seconds = 3600, by = "${who}"}
[[pattern]]
name = "anybody"
match = 'user[ =](?P<who>[A-Za-z0-9]+)'
title = "${who}"
`)
	names := regexp.MustCompile(`root|admin|test|guest|alice`)
	random := rand.New(rand.NewPCG(1, 2))
	var log strings.Builder
	for i := range 4000 { // held back, because none says its zone
		fmt.Fprintf(&log, "Nov 27 10:00:00 h sshd[%d]: Failed password for invalid user u%d from 203.0.113.%d port 40%03d ssh2\n", i, i, i%200, i%1000)
	}
	// Lines that belong together stay so, and each time they have names of their own:
	// what is written over shows.
	for log.Len() < 6<<20 {
		suffix := fmt.Sprint(random.IntN(1e6))
		from := random.IntN(len(corpus))
		for _, l := range corpus[from:min(from+1+random.IntN(12), len(corpus))] {
			log.WriteString(names.ReplaceAllStringFunc(l, func(n string) string { return n[:1] + suffix }))
			if random.IntN(2) == 0 {
				fmt.Fprintf(&log, "Nov 27 10:00:00 h last message repeated %d times\n", 1+random.IntN(5))
			}
		}
	}
	p.write("auth.log", log.String())
	said := func(o watchOptions, in string) string {
		p.in = in
		o.app = p.app()
		o.app.configFile = p.home + "/config.toml"
		if err := o.replayFile(t.Context()); err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`"id":"[^"]*"`).ReplaceAllString(strings.ReplaceAll(p.out.String(), p.home+"/auth.log", "stdin"), "")
	}
	for _, o := range []watchOptions{{json: true}, {showUnparsed: true}} {
		file, stdin := o, o
		file.replay, stdin.replay = p.home+"/auth.log", "-"
		got, want := strings.Split(said(file, ""), "\n"), strings.Split(said(stdin, log.String()), "\n")
		if len(want) < 20 {
			t.Fatalf("%+v: no more than %q", o, want)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v, %d lines: %.3000s", o, len(want), diff)
		}
	}
}
