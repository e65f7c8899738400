// Checks a tlog-proof and a consistency proof of gate's with the Go project's own code (golang.org/x/mod/sumdb).
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type input struct {
	Vkey    string
	Entries [][]byte
	// One tlog-proof for each entry.
	Proofs []string
	// Two checkpoints, and the lines that prove the second from the first.
	Older, Newer, Consistency string
}

func must(what string, err error) {
	if err != nil {
		fmt.Printf("%s: %v\n", what, err)
		os.Exit(1)
	}
}

func hashes(lines string) (found tlog.RecordProof) {
	for _, line := range strings.Fields(lines) {
		var hash tlog.Hash
		must("hash", hash.UnmarshalJSON([]byte(`"`+line+`"`)))
		found = append(found, hash)
	}
	return found
}

func open(text string, key note.Verifier) (tree tlog.Tree) {
	opened, err := note.Open([]byte(text), note.VerifierList(key))
	must("note", err)
	lines := strings.Split(opened.Text, "\n")
	if lines[0] != key.Name() {
		must("origin", fmt.Errorf("another log"))
	}
	tree.N, err = strconv.ParseInt(lines[1], 10, 64)
	must("size", err)
	tree.Hash = hashes(lines[2])[0]
	return tree
}

func main() {
	var in input
	must("input", json.NewDecoder(os.Stdin).Decode(&in))
	key, err := note.NewVerifier(in.Vkey)
	must("vkey", err)
	for n, text := range in.Proofs {
		head, signed, found := strings.Cut(text, "\n\n")
		lines := strings.SplitN(head, "\n", 3)
		if !found || lines[0] != "c2sp.org/tlog-proof@v1" || lines[1] != fmt.Sprintf("index %d", n) {
			must("proof", fmt.Errorf("not a tlog-proof of entry %d", n))
		}
		var path tlog.RecordProof
		if len(lines) == 3 {
			path = hashes(lines[2])
		}
		tree := open(signed, key)
		must("inclusion", tlog.CheckRecord(path, tree.N, tree.Hash, int64(n), tlog.RecordHash(in.Entries[n])))
	}
	older, newer := open(in.Older, key), open(in.Newer, key)
	must("consistency", tlog.CheckTree(tlog.TreeProof(hashes(in.Consistency)), newer.N, newer.Hash, older.N, older.Hash))
	fmt.Printf("%d proofs hold, and one from %d to %d\n", len(in.Proofs), older.N, newer.N)
}
