package event

import "strings"

const (
	// MaxAuthInfo bounds what is read of SSH_AUTH_INFO_0, in bytes.
	MaxAuthInfo = 64 << 10
	// maxAuthKept bounds what is stored of it, in bytes of JSON. The largest line
	// that sshd writes, of a certificate with an RSA key and many principals, has
	// some 10 KiB.
	maxAuthKept = 12 << 10
	// maxAuthLines is more than the methods that sshd can ask for one after the
	// other.
	maxAuthLines = 32
)

// cleanAuthInfo makes SSH_AUTH_INFO_0 fit for being stored. What is too long
// loses its keys, the first of them first: the last one is told.
func cleanAuthInfo(s string) string {
	var lines []string
	kept := 0
	for line := range strings.Lines(s[:min(len(s), MaxAuthInfo)]) {
		if line = strings.TrimSpace(line); line != "" && len(lines) < maxAuthLines {
			line = Clean(line, MaxAuthInfo)
			lines, kept = append(lines, line), kept+sizeInJSON(line)
		}
	}
	for i := 0; kept > maxAuthKept && i < len(lines); i++ {
		kept -= sizeInJSON(lines[i])
		word := strings.Fields(lines[i])
		for j := range word {
			word[j] = Clean(word[j], maxWord)
		}
		if len(word) > 2 {
			word = append(word[:2], "…")
		}
		lines[i] = strings.Join(word, " ")
		kept += sizeInJSON(lines[i])
	}
	return strings.Join(lines, "\n")
}

// sizeInJSON returns the most bytes that a clean line takes, its end included.
func sizeInJSON(line string) int {
	return len(line) + strings.Count(line, `"`) + strings.Count(line, `\`) + len(`\n`)
}
