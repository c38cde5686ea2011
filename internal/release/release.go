// Package release owns the version, which all programs of a release have in common.
// It must stay small: what runs at each login has it too.
package release

import (
	"runtime/debug"
	"strings"
)

// version is set by the linker: -X github.com/sshnotify/sshnotify/internal/release.version=1.2.3
var version string

// Version returns the release, without a v in front: what the linker was told, else
// what the Go tool knows of the build, else "(devel)". The Go tool knows tags up to
// v1 only: from v2 on it would want the module's path to end in that.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return strings.TrimPrefix(info.Main.Version, "v")
	}
	return "(devel)"
}
