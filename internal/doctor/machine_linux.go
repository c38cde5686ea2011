package doctor

import "golang.org/x/sys/unix"

// clockSynced asks the kernel (adjtimex(2)), changing nothing. known is false
// where it may not be asked, as in some containers.
func clockSynced() (synced, known bool) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, err == nil
}

// networkFS returns the name of a file system whose answer may be a server's,
// or another program's, and so can be waited for; "" for any other. The
// numbers are those of statfs(2).
func networkFS(st *unix.Statfs_t) string { return networkFSOf(uint32(st.Type)) }

func networkFSOf(magic uint32) string {
	return map[uint32]string{
		unix.NFS_SUPER_MAGIC: "NFS", unix.FUSE_SUPER_MAGIC: "FUSE", unix.SMB_SUPER_MAGIC: "SMB", unix.SMB2_SUPER_MAGIC: "SMB",
		unix.CIFS_SUPER_MAGIC: "CIFS", unix.AFS_SUPER_MAGIC: "AFS", unix.AFS_FS_MAGIC: "AFS", unix.CEPH_SUPER_MAGIC: "Ceph",
		unix.CODA_SUPER_MAGIC: "Coda", unix.NCP_SUPER_MAGIC: "NCP", unix.V9FS_MAGIC: "9P", unix.OCFS2_SUPER_MAGIC: "OCFS2",
		0x01161970: "GFS2", 0x0bd00bd0: "Lustre", 0x47504653: "GPFS", 0x786f4256: "VirtualBox's shared folders", 0xbacbacbc: "VMware's shared folders",
	}[magic]
}
