package pattern

import "strings"

// splitCSV returns the values of a line. Snort escapes with a backslash inside
// quotes, which CSV does not, and leaves blanks around values: Snort 2 after
// its timestamp, Snort 3 after each comma. A line whose quotes do not fit is
// none.
func splitCSV(line string, snort bool) (values []string, ok bool) {
	for range maxColumns + 1 {
		if snort {
			line = strings.TrimLeft(line, " ")
		}
		var value, rest string
		if strings.HasPrefix(line, `"`) {
			if value, rest, ok = unquote(line, snort); !ok {
				return nil, false
			}
			if snort {
				rest = strings.TrimLeft(rest, " ")
			}
		} else {
			end := strings.IndexByte(line, ',')
			if end < 0 {
				end = len(line)
			}
			if value, rest = line[:end], line[end:]; snort {
				value = strings.TrimRight(value, " ")
			}
		}
		values = append(values, value)
		if rest == "" {
			return values, true
		}
		if rest[0] != ',' {
			return nil, false
		}
		line = rest[1:]
	}
	return nil, false
}

// unquote reads what stands in quotes at the start of a line.
func unquote(line string, snort bool) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(line); i++ {
		switch c := line[i]; {
		case snort && c == '\\':
			if i++; i == len(line) {
				return "", "", false
			}
			b.WriteByte(line[i])
		case !snort && c == '"' && strings.HasPrefix(line[i+1:], `"`):
			i++
			b.WriteByte('"')
		case c == '"':
			return b.String(), line[i+1:], true
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
