// Package sabotage breaks Throng's rules, one at a time, and sees that a test
// notices. A promise that no test can catch being broken is no promise.
//
// A sabotage is a change of a few words in a source file. Nothing in the product
// knows of it: the changed file is laid over the real one with go's -overlay, for
// the test that must catch it and for every binary that this test builds. The words
// must stand in the file exactly once, so that the table stays true to the code.
//
//	make sabotage                                  all of them, some minutes
//	THRONG_SABOTAGE='^ref' go test ./bench/torture/sabotage -v   some, by their names
//
// A plain go test breaks two rules and checks the table; docs/sabotage.md shows the
// table and is kept by a test.
package sabotage
