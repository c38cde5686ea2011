package parse

// daemon is a program whose lines are known.
type daemon struct {
	parser, service string
	read            func(message string, r *reading)
}

// daemons in the order in which a line that names no program is tried.
var daemons = [...]daemon{
	isSSHD:     {"sshd", "sshd", readSSHD},
	isDropbear: {"dropbear", "dropbear", readDropbear},
	isVsftpd:   {"vsftpd", "vsftpd", readVsftpd},
	isPureFTPd: {"pureftpd", "pure-ftpd", readPureFTPd},
	isProFTPD:  {"proftpd", "proftpd", readProFTPD},
	isSudo:     {"sudo", "sudo", readSudo},
	isSu:       {"su", "su", readSu},
}

const (
	isSSHD = iota
	isDropbear
	isVsftpd
	isPureFTPd
	isProFTPD
	isSudo
	isSu
	isNobody
)

// daemonOf finds who a program's name stands for.
func daemonOf(program string) int {
	switch baseName(program) {
	case "sshd", "sshd-session", "sshd-auth":
		return isSSHD
	case "dropbear":
		return isDropbear
	case "vsftpd":
		return isVsftpd
	case "pure-ftpd":
		return isPureFTPd
	case "proftpd":
		return isProFTPD
	case "sudo":
		return isSudo
	case "su":
		return isSu
	}
	return isNobody
}
