package cmd

import "golang.org/x/sys/unix"

// awayFileSystems are those whose answer may be a server's, or another
// program's, which can keep whoever asks waiting: the magic numbers of statfs(2).
var awayFileSystems = map[int64]string{
	unix.NFS_SUPER_MAGIC: "NFS", unix.FUSE_SUPER_MAGIC: "FUSE", unix.SMB_SUPER_MAGIC: "SMB", unix.SMB2_SUPER_MAGIC: "SMB",
	unix.CIFS_SUPER_MAGIC: "CIFS", unix.AFS_SUPER_MAGIC: "AFS", unix.AFS_FS_MAGIC: "AFS", unix.CEPH_SUPER_MAGIC: "Ceph",
	unix.CODA_SUPER_MAGIC: "Coda", unix.NCP_SUPER_MAGIC: "NCP", unix.V9FS_MAGIC: "9P", unix.OCFS2_SUPER_MAGIC: "OCFS2",
	0x01161970: "GFS2", 0x0bd00bd0: "Lustre", 0x47504653: "GPFS", 0x786f4256: "VirtualBox's shared folders", 0xbacbacbc: "VMware's shared folders",
}

// isAway says on which file system of that kind a folder is; empty: on none.
func isAway(st *unix.Statfs_t) string { return awayFileSystems[int64(uint32(st.Type))] }
