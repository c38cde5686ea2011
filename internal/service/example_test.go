package service_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/service"
)

func Example() {
	d := service.NewDescription()
	d.Headers = map[string]string{"Authorization": "Bearer {key}"}
	d.Replies = []service.Reply{{Status: []int{429}, Means: service.Quota, Wait: time.Minute}}
	ask := service.Request{Name: "check", Path: "/v1/{ip}", Expect: []string{"score"}}

	s, err := service.New("risk", &d, outbound.New(outbound.Options{}), "https://risk.example.com", outbound.NewSecret("secret"))
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := s.Build(&ask, map[string]string{"ip": "2001:db8::1"})
	fmt.Println(r, err)
	for _, status := range []int{200, 429} {
		h := http.Header{"Content-Type": {"application/json"}}
		a := s.Read(&ask, &outbound.Response{Status: status, Header: h, Body: []byte(`{"score": 7}`)}, time.Now())
		fmt.Println(a.Means, a.Get("score"), a.Wait)
	}
	// Output:
	// GET risk.example.com risk check <nil>
	// answer 7 0s
	// quota 7 1m0s
}
