//go:build !linux

package install

// copyAttributes does nothing where attributes are not known.
func copyAttributes(from, to string) {}

// hasAccessList returns false where attributes are not known.
func hasAccessList(name string) bool { return false }
