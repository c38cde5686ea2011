package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

var (
	errInterrupted = errors.New("interrupted, nothing was changed")
	errNoAnswer    = errors.New("no answer, nothing was changed")
)

// prompter asks a person. A nil prompter has nobody to ask.
type prompter struct {
	in  io.Reader
	out io.Writer
	// hidden reads a line that is not shown as it is typed; nil where all is.
	hidden func(context.Context) (string, error)
}

// terminal returns a prompter if there is a person to ask: questions go to standard
// error, so that standard output can be put into a file.
func (a *app) terminal() *prompter {
	in, ok1 := a.in.(*os.File)
	out, ok2 := a.err.(*os.File)
	if !ok1 || !ok2 || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return nil
	}
	return &prompter{in: in, out: out, hidden: func(ctx context.Context) (string, error) {
		was, err := term.GetState(int(in.Fd()))
		if err != nil {
			return "", err
		}
		s, err := interruptible(ctx, func() (string, error) {
			b, err := term.ReadPassword(int(in.Fd()))
			return string(b), err
		})
		if ctx.Err() != nil {
			err = errors.Join(err, term.Restore(int(in.Fd()), was))
		}
		fmt.Fprintln(out)
		return s, err
	}}
}

// interruptible lets go of a read when ctx ends. The read itself goes on: the
// program ends then.
func interruptible(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		s   string
		err error
	}
	got := make(chan answer, 1)
	go func() {
		s, err := read()
		got <- answer{s, err}
	}()
	select {
	case <-ctx.Done():
		return "", errInterrupted
	case a := <-got:
		if errors.Is(a.err, io.EOF) {
			return "", errNoAnswer
		}
		return a.s, a.err
	}
}

// maxAnswer is far above what anybody types.
const maxAnswer = 8 << 10

// line asks for a line. It reads no byte beyond it: another reader takes the
// next answer.
func (q *prompter) line(ctx context.Context, question string) (string, error) {
	fmt.Fprint(q.out, question)
	return interruptible(ctx, func() (string, error) {
		var b []byte
		for one := make([]byte, 1); len(b) < maxAnswer; {
			n, err := q.in.Read(one)
			if n == 1 && one[0] == '\n' {
				break
			}
			b = append(b, one[:n]...)
			if err != nil && (err != io.EOF || len(b) == 0) {
				return "", err
			}
			if err != nil {
				break
			}
		}
		return strings.TrimSpace(string(b)), nil
	})
}

// secret asks for a line that is not shown.
func (q *prompter) secret(ctx context.Context, question string) (string, error) {
	if q.hidden == nil {
		return q.line(ctx, question)
	}
	fmt.Fprint(q.out, question)
	s, err := q.hidden(ctx)
	return strings.TrimSpace(s), err
}

// yes asks a question; an empty answer is the usual one.
func (q *prompter) yes(ctx context.Context, question string, usual bool) (bool, error) {
	choice := " [y/N] "
	if usual {
		choice = " [Y/n] "
	}
	for {
		s, err := q.line(ctx, question+choice)
		if err != nil {
			return false, err
		}
		switch strings.ToLower(s) {
		case "":
			return usual, nil
		case "y", "yes":
			return true, nil
		case "n", "no":
			return false, nil
		}
	}
}
