// Checks gate's signed note, tree and proofs with the Go project's own code (golang.org/x/mod/sumdb).
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type input struct {
	Vkey        string
	Note        string
	Entries     [][]byte
	Inclusion   [][]tlog.Hash
	Consistency [][]tlog.Hash
}

func must(what string, err error) {
	if err != nil {
		fmt.Printf("%s: %v\n", what, err)
		os.Exit(1)
	}
}

func main() {
	var in input
	must("input", json.NewDecoder(bufio.NewReader(os.Stdin)).Decode(&in))
	verifier, err := note.NewVerifier(in.Vkey)
	must("vkey", err)
	opened, err := note.Open([]byte(in.Note), note.VerifierList(verifier))
	must("note", err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must("size", err)
	raw, err := base64.StdEncoding.DecodeString(lines[2])
	must("root", err)
	var root tlog.Hash
	copy(root[:], raw)

	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var hashes []tlog.Hash
		for _, index := range indexes {
			hashes = append(hashes, stored[index])
		}
		return hashes, nil
	})
	roots := []tlog.Hash{}
	for n, entry := range in.Entries {
		hashes, err := tlog.StoredHashes(int64(n), entry, reader)
		must("stored hashes", err)
		stored = append(stored, hashes...)
		tree, err := tlog.TreeHash(int64(n)+1, reader)
		must("tree", err)
		roots = append(roots, tree)
	}
	if int64(len(roots)) != size || roots[size-1] != root {
		must("tree", fmt.Errorf("the checkpoint is not of these entries"))
	}
	for n, proof := range in.Inclusion {
		must("inclusion", tlog.CheckRecord(proof, size, root, int64(n), tlog.RecordHash(in.Entries[n])))
	}
	for n, proof := range in.Consistency {
		must("consistency", tlog.CheckTree(proof, size, root, int64(n)+1, roots[n]))
	}
	fmt.Printf("%d inclusion and %d consistency proofs hold\n", len(in.Inclusion), len(in.Consistency))
}
