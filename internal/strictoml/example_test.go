package strictoml_test

import (
	"fmt"
	"time"

	"github.com/sshnotify/sshnotify/internal/strictoml"
)

type detector struct {
	Count    int           `toml:"count,required" check:"min=1,max=1000"`
	Within   time.Duration `toml:"within" check:"min=1s,max=31d"`
	Distinct int           `toml:"distinct" check:"min=0,max=64"`
}

// Validate says what fits no other key.
func (d *detector) Validate(at strictoml.At) {
	if d.Distinct > d.Count && d.Count > 0 {
		at.Fail("distinct", "must not be more than count (%d)", d.Count)
	}
}

func Example() {
	d := detector{Within: time.Hour} // the default
	err := strictoml.Unmarshal("detector.toml", []byte("count = 3\nwihtin = '2d'\ndistinct = 4\n"), &d)
	for _, e := range strictoml.Errors(err) {
		fmt.Println(e)
		if e.Hint != "" {
			fmt.Println("  " + e.Hint)
		}
	}
	// Output:
	// detector.toml:2:1: wihtin: unknown key
	//   did you mean "within"?
	// detector.toml:3:1: distinct: must not be more than count (3)
}
