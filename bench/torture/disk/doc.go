// Package disk takes the real server's disk away, in part or whole, and judges
// what it then says and what is left of its data. It holds nothing but tests:
//
//   - a disk that fills up under full load, tmpfs and ext4, with no floor to hold
//     the server back: it ends, and what it acknowledged is there once there is
//     space (TestNothingAcknowledgedIsLostOnAFullDisk);
//   - the floor of free space: 507 below it, in time under full load, and back;
//   - no inodes left, a disk that turns read-only, a directory that is moved,
//     removed or unmounted while the server runs.
//
// A volume is a file system that the test makes and unmounts: these tests need
// root, and skip where they have it not. A world is a server on a volume, with
// sessions that load it through bench/target/throng; bench/check is the judge.
package disk
