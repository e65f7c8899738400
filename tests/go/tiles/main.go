// Reads a log that was published as tiles (C2SP tlog-tiles) with the Go project's own code (golang.org/x/mod/sumdb), and proves each entry.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

func must(what string, err error) {
	if err != nil {
		fmt.Printf("%s: %v\n", what, err)
		os.Exit(1)
	}
}

type files string

// Go's paths have the height in them, and `data` where tlog-tiles has `entries`.
func (root files) read(tile tlog.Tile) ([]byte, error) {
	path := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
	path = strings.Replace(path, "data/", "entries/", 1)
	return os.ReadFile(filepath.Join(string(root), "tile", path))
}

func (files) Height() int { return height }

func (root files) ReadTiles(tiles []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range tiles {
		bytes, err := root.read(tile)
		if err != nil {
			return nil, err
		}
		data = append(data, bytes)
	}
	return data, nil
}

func (files) SaveTiles([]tlog.Tile, [][]byte) {}

func main() {
	root := files(os.Args[1])
	key, err := note.NewVerifier(os.Args[2])
	must("vkey", err)
	text, err := os.ReadFile(filepath.Join(string(root), "checkpoint"))
	must("checkpoint", err)
	opened, err := note.Open(text, note.VerifierList(key))
	must("note", err)
	lines := strings.Split(opened.Text, "\n")
	var tree tlog.Tree
	tree.N, err = strconv.ParseInt(lines[1], 10, 64)
	must("size", err)
	must("root", tree.Hash.UnmarshalJSON([]byte(`"`+lines[2]+`"`)))
	reader := tlog.TileHashReader(tree, root)
	for first := int64(0); first < tree.N; first += 1 << height {
		width := int64(1 << height)
		if tree.N-first < width {
			width = tree.N - first
		}
		bundle, err := root.read(tlog.Tile{H: height, L: -1, N: first >> height, W: int(width)})
		must("entries", err)
		for entry := first; entry < first+width; entry++ {
			length := int(binary.BigEndian.Uint16(bundle))
			body := bundle[2 : 2+length]
			bundle = bundle[2+length:]
			proof, err := tlog.ProveRecord(tree.N, entry, reader)
			must("tiles", err)
			must("inclusion", tlog.CheckRecord(proof, tree.N, tree.Hash, entry, tlog.RecordHash(body)))
		}
		if len(bundle) > 0 {
			must("entries", fmt.Errorf("more than %d", width))
		}
	}
	fmt.Printf("%d entries stand in the tiles\n", tree.N)
}
