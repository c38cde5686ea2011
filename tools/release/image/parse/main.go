// Command parse reads Compose files and Kubernetes manifests as strictly as those that run
// them. It is a module of its own, so that nothing else depends on theirs.
//
//	go run . compose.yaml kubernetes.yaml
//
// Of a file whose name begins with "compose" it is a Compose project, else manifests.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	var err error
	for _, file := range os.Args[1:] {
		read := manifests
		if strings.HasPrefix(filepath.Base(file), "compose") {
			read = compose
		}
		if e := read(file); e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", file, e))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func compose(file string) error {
	o, err := cli.NewProjectOptions([]string{file}, cli.WithName("example"))
	if err != nil {
		return err
	}
	p, err := o.LoadProject(context.Background())
	if err == nil && len(p.Services) == 0 {
		err = errors.New("no services")
	}
	return err
}

// kinds are the objects that the examples have.
var kinds = map[string]func() any{
	"v1 Service":          func() any { return new(core.Service) },
	"apps/v1 StatefulSet": func() any { return new(apps.StatefulSet) },
}

func manifests(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for i, object := range strings.Split(string(text), "\n---\n") {
		var of meta.TypeMeta
		if err := yaml.Unmarshal([]byte(object), &of); err != nil {
			return fmt.Errorf("object %d: %w", i+1, err)
		}
		kind := kinds[of.APIVersion+" "+of.Kind]
		if kind == nil {
			return fmt.Errorf("object %d: a %s of %s is not among those that are known here", i+1, of.Kind, of.APIVersion)
		}
		if err := yaml.UnmarshalStrict([]byte(object), kind()); err != nil {
			return fmt.Errorf("object %d: %w", i+1, err)
		}
	}
	return nil
}
