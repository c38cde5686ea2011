//go:build race

package store

// slowness is by how much the race detector slows SQLite's code down, which is
// translated from C and all of whose memory it looks at.
const slowness = 30
