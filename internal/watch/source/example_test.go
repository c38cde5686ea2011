package source_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sshnotify/sshnotify/internal/watch/source"
)

func ExampleOpenReader() {
	s, err := source.OpenReader(strings.NewReader("one\ntwo\n"), source.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	for {
		b, err := s.Read(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, l := range b.Lines {
			fmt.Println(l.Source, l.Text)
		}
		if err := s.Commit(b); err != nil { // what came of it is safe
			fmt.Println(err)
			return
		}
	}
	// Output:
	// stdin one
	// stdin two
}
