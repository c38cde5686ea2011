package fake_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/sshnotify/sshnotify/internal/fake"
)

func ExampleStartSlack() {
	slack, err := fake.StartSlack()
	if err != nil {
		panic(err)
	}
	defer slack.Close()
	for _, body := range []string{`{"text":`, `{"text":"a login"}`} {
		resp, err := http.Post(slack.URL(), "application/json", strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		fmt.Println(resp.StatusCode, strings.TrimSpace(string(answer)))
	}
	m, err := slack.Receive(context.Background())
	fmt.Println(string(m.Raw), err)
	// Output:
	// 400 invalid_payload
	// 200 ok
	// {"text":"a login"} <nil>
}

func ExampleStartLookupService() {
	l, err := fake.StartLookupService()
	if err != nil {
		panic(err)
	}
	defer l.Close()
	for _, key := range []string{"wrong", l.Key()} {
		req, _ := http.NewRequest(http.MethodGet, l.URL()+"/v1/"+fake.IP, nil)
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			panic(err)
		}
		resp.Body.Close()
		fmt.Println(resp.StatusCode)
	}
	// Output:
	// 401
	// 200
}
