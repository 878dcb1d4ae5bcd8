// Package crash kills, stops and drains the real server under load, again and
// again, and judges what is left of its data directory. It holds nothing but
// tests:
//
//   - kill -9 after 20 to 500 ms of load, while the server opens its directory, and
//     in the middle of a drain; small memtables see that tables are being written
//     at the time (TestNothingAcknowledgedIsLostByAKill);
//   - SIGSTOP and SIGCONT, and SIGTERM, under load;
//   - small histories of single chats through kills, which porcupine judges.
//
// A world is one data directory through the lives of several servers; its sessions
// are the load; bench/check is the judge of the chats, and people are held against
// what was acknowledged of them. All counts are those of a campaign.
package crash
