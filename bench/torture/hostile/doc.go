// Package hostile attacks the real server with clients that mean harm or have bad
// luck, while a workload of honest ones runs beside them and is judged. It holds
// nothing but tests, and its package proxy:
//
//   - a siege is one server under attack after attack, whose connections are
//     slow, silent, dripping, deaf, reset, too many, or talk nonsense
//     (TestNoClientTakesTheServerDown); it watches the server's memory;
//   - the same flood where descriptors are few (TestAFloodBeyondTheDescriptors...);
//   - the honest workload alone, through a network that delays, slices, swallows and
//     resets (TestTheWorkloadGetsThroughBadNetworks).
//
// The crowd is the workload: its sessions repeat what has no answer, under the
// same ref, until it has one; bench/check judges what they were told. All counts
// are those of a campaign.
package hostile
