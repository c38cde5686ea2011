package spool

import "testing"

// A worker must never take the events of another spool.
func TestOverflowsAreApart(t *testing.T) {
	t.Parallel()
	of := map[string]string{}
	for _, dir := range []string{hostDir, "/a/b", "/a-b", "/a/-b", "/a-/b", "/a--b", "/a_b", "/a_-b", "/a_/b", "/a__b"} {
		at := overflow(dir)
		if was, taken := of[at]; taken {
			t.Errorf("%s and %s overflow into %s", was, dir, at)
		}
		of[at] = dir
	}
	if at := overflow("/a//b/"); at != overflow("/a/b") {
		t.Errorf("one folder has two overflows, %s", at)
	}
}
