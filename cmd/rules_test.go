package cmd

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sshnotify/sshnotify"

// imports gives what a package of ours imports itself, and all that it is
// linked with, without its tests.
func imports(t *testing.T, pkg string) (direct, all []string) {
	t.Helper()
	list := func(args ...string) []string {
		out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
		if err != nil {
			t.Fatalf("go list %s: %v", pkg, err)
		}
		return strings.Fields(string(out))
	}
	path := module + "/" + pkg
	return list("-f", `{{join .Imports "\n"}}`, path), list("-deps", path)
}

func TestImportRules(t *testing.T) {
	ours := func(names ...string) (out []string) {
		for _, n := range names {
			out = append(out, module+"/"+n)
		}
		return out
	}
	for _, rule := range []struct {
		pkg    string
		direct []string // must not import itself
		reach  []string // must not be linked with
		why    string
	}{
		{"internal/event", []string{"os"}, []string{"net/http"}, "it is plain data"},
		{"internal/login", nil, []string{"net/http"}, "a login must not wait for a network"},
		{"internal/spool", ours("internal/dest"), []string{"net/http"}, "the hook writes to it, and it does not know what a destination is"},
		{"internal/syslog", nil, []string{"net/http"}, "the hook uses it"},
		{"internal/policy", []string{"os"}, []string{"net/http"}, "it is a pure function"},
		{"enrich", ours("internal/policy", "internal/dest", "internal/spool", "internal/config"), nil, "it only finds facts"},
		{"internal/dest", ours("internal/spool", "enrich", "internal/config"), nil, "it only sends what it is given"},
		{"internal/deliver", ours("cmd", "internal/config", "install"), nil, "it gets its settings as values"},
		{"install", []string{"net/http"}, []string{"net/http"}, "setting up reaches no network"},
	} {
		direct, all := imports(t, rule.pkg)
		for _, banned := range rule.direct {
			if slices.Contains(direct, banned) {
				t.Errorf("%s imports %s, and must not: %s", rule.pkg, banned, rule.why)
			}
		}
		for _, banned := range rule.reach {
			if slices.Contains(all, banned) {
				t.Errorf("%s reaches %s, and must not: %s", rule.pkg, banned, rule.why)
			}
		}
		if rule.pkg == "internal/event" {
			for _, p := range direct {
				if strings.HasPrefix(p, module) {
					t.Errorf("internal/event imports %s, and must import nothing of ours: %s", p, rule.why)
				}
			}
		}
	}
}

func TestOnlyCmdImportsConfig(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if f[0] != module+"/cmd" && slices.Contains(f[1:], module+"/internal/config") {
			t.Errorf("%s imports internal/config: only cmd may, the rest gets values", f[0])
		}
	}
}

// TestSources holds what every Go file of ours must be like.
func TestSources(t *testing.T) {
	comments := make(map[string]int) // folder → package comments
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		if !strings.HasSuffix(path, "_test.go") {
			if file.Doc != nil {
				comments[dir]++
			} else {
				comments[dir] += 0
			}
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has an init function: pass arguments", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(comments) < 10 {
		t.Fatalf("only %d packages were found", len(comments))
	}
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("%s has %d package comments, want one", dir, n)
		}
	}
}

func TestEveryCommandIsDocumented(t *testing.T) {
	commands := allCommands(newRootCmd(&app{}))
	if len(commands) < 15 {
		t.Fatalf("only %d commands were found", len(commands))
	}
	for _, c := range commands {
		if !strings.Contains(c.Long, "EXIT STATUS\n  0 ") {
			t.Errorf("%s: its help has no EXIT STATUS section", c.CommandPath())
		}
		if c.Example == "" {
			t.Errorf("%s: its help has no example", c.CommandPath())
		}
		if c.Args == nil {
			t.Errorf("%s does not check its arguments", c.CommandPath())
		}
		if c.Run == nil && c.RunE == nil {
			t.Errorf("%s does nothing", c.CommandPath())
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: the short help is %q", c.CommandPath(), c.Short)
		}
	}
}
