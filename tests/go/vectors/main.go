// Makes tests/vectors/tree.json and note.json with the Go project's own code (golang.org/x/mod/sumdb):
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run ./tests/go/vectors tests/vectors
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type tree struct {
	Leaves      []string      `json:"leaves"`
	Roots       []tlog.Hash   `json:"roots"`
	Inclusion   []inclusion   `json:"inclusion"`
	Consistency []consistency `json:"consistency"`
}

type inclusion struct {
	Index int64       `json:"index"`
	Size  int64       `json:"size"`
	Proof []tlog.Hash `json:"proof"`
}

type consistency struct {
	First  int64       `json:"first"`
	Second int64       `json:"second"`
	Proof  []tlog.Hash `json:"proof"`
}

type signed struct {
	Vkey string `json:"vkey"`
	Note string `json:"note"`
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func write(path string, value any) {
	text, err := json.Marshal(value)
	check(err)
	check(os.WriteFile(path, append(text, '\n'), 0o644))
}

func main() {
	var out tree
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var hashes []tlog.Hash
		for _, index := range indexes {
			hashes = append(hashes, stored[index])
		}
		return hashes, nil
	})
	for n := int64(0); n < 21; n++ {
		leaf := fmt.Sprintf("entry %d", n)
		hashes, err := tlog.StoredHashes(n, []byte(leaf), reader)
		check(err)
		stored = append(stored, hashes...)
		root, err := tlog.TreeHash(n+1, reader)
		check(err)
		out.Leaves = append(out.Leaves, leaf)
		out.Roots = append(out.Roots, root)
	}
	for _, size := range []int64{1, 2, 3, 8, 13, 21} {
		for n := int64(0); n < size; n++ {
			proof, err := tlog.ProveRecord(size, n, reader)
			check(err)
			out.Inclusion = append(out.Inclusion, inclusion{n, size, proof})
			tree, err := tlog.ProveTree(size, n+1, reader)
			check(err)
			out.Consistency = append(out.Consistency, consistency{n + 1, size, tree})
		}
	}
	write(filepath.Join(os.Args[1], "tree.json"), out)

	secret, vkey, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 64)), "gate.example/host/0123456789abcdef")
	check(err)
	signer, err := note.NewSigner(secret)
	check(err)
	text := fmt.Sprintf("gate.example/host/0123456789abcdef\n21\n%v\n", out.Roots[20])
	message, err := note.Sign(&note.Note{Text: text}, signer)
	check(err)
	write(filepath.Join(os.Args[1], "note.json"), signed{vkey, string(message)})
}
