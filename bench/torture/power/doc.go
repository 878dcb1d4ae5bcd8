// Package power cuts the power of the real server. It is test support only.
//
// A Disk is a file system in memory that knows, beside what is there, what would
// survive: the contents of a file as of its last fsync or fdatasync, the names of a
// directory as of its last fsync. Mount shows it to the kernel through FUSE,
// without the writeback cache, so that every write and sync of a process reaches
// it. Cut ends all of it at once, and Survivor draws what a disk may hold then:
//
//   - all that was synced;
//   - of what was not, a random part: each 4-KiB block on its own, some torn between
//     sectors of 512 bytes; a size between the synced and the newest one; names in
//     the order of their making up to a point, or any of them, but a rename whole.
//
// Nothing else promises anything: not close, not sync_file_range, not fallocate,
// not O_DIRECT; O_SYNC does, because the kernel makes a sync of each write. A rename
// between directories is refused (EXDEV), as between two disks.
package power
