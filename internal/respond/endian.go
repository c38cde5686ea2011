package respond

import "encoding/binary"

// littleEndian says in which order this machine keeps the bytes of a word.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1
