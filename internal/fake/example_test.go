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

func ExampleStartThreatJammer() {
	tj, err := fake.StartThreatJammer()
	if err != nil {
		panic(err)
	}
	defer tj.Close()
	for _, key := range []string{"wrong", tj.Key()} {
		req, _ := http.NewRequest(http.MethodGet, tj.URL()+"/v1/asn/64500", nil)
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
