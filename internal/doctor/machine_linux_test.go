package doctor

import "testing"

// A spool on a server, or behind another program, can keep logins waiting. The
// numbers are those of statfs(2).
func TestNetworkFileSystems(t *testing.T) {
	for magic, want := range map[uint32]string{
		0x6969: "NFS", 0x65735546: "FUSE", 0xfe534d42: "SMB", 0xff534d42: "CIFS", 0x00c36400: "Ceph",
		0xef53: "", 0x58465342: "", 0x9123683e: "", 0x01021994: "",
	} {
		if got := networkFSOf(magic); got != want {
			t.Errorf("%#x is taken for %q, not %q", magic, got, want)
		}
	}
}
