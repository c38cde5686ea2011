//go:build !linux

package install

// copyAttributes does nothing where attributes are not known.
func copyAttributes(from, to string) {}
