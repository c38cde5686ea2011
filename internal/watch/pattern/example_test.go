package pattern_test

import (
	"fmt"
	"regexp"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/pattern"
)

func ExampleEngine() {
	e, err := pattern.New([]pattern.Pattern{{
		Name: "disk", Match: regexp.MustCompile(`disk (?P<disk>\w+) is (?P<used>\d+)% full`), Title: "${disk} is nearly full: ${used}%",
	}}, pattern.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range e.Take(line.Line{Source: "syslog", Text: "disk sda1 is 97% full"}, time.Time{}) {
		fmt.Println(m.Pattern, m.Title)
	}
	// Output: disk sda1 is nearly full: 97%
}
