// Serves and checks checksum databases with Go's own packages, for tests.
//
//	sumdb-peer serve RECORDS SEED   prints the URL and the key; RECORDS has the lines of go.sum of all modules
//	sumdb-peer verify KEY PROOF     verifies a proof in the format https://c2sp.org/tlog-proof, and prints the record
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const name = "sum.example.com"

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("usage: sumdb-peer serve RECORDS SEED | verify KEY PROOF")
	}
	switch os.Args[1] {
	case "serve":
		serve(os.Args[2], os.Args[3])
	case "verify":
		verify(os.Args[2], os.Args[3])
	}
}

// seed makes the key depend on the seed only.
type seed struct{ hash []byte }

func (s seed) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = s.hash[i%len(s.hash)]
	}
	return len(p), nil
}

func serve(records, text string) {
	hash := sha256.Sum256([]byte(text))
	signer, verifier, err := note.GenerateKey(seed{hash[:]}, name)
	if err != nil {
		log.Fatal(err)
	}
	lookup := func(path, version string) ([]byte, error) {
		file, err := os.Open(records)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		var found []byte
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			for _, start := range []string{path + " " + version + " ", path + " " + version + "/go.mod "} {
				if strings.HasPrefix(lines.Text(), start) {
					found = append(found, lines.Text()+"\n"...)
				}
			}
		}
		if found == nil {
			return nil, os.ErrNotExist
		}
		return found, nil
	}
	server := sumdb.NewServer(sumdb.NewTestServer(signer, lookup))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n%s\n", listener.Addr(), verifier)
	os.Stdout.Close()
	go func() {
		// The end of the standard input is the end of the test.
		bufio.NewReader(os.Stdin).ReadByte()
		os.Exit(0)
	}()
	log.Fatal(http.Serve(listener, server))
}

func verify(key, path string) {
	proof, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	head, signed, found := strings.Cut(string(proof), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		log.Fatal("not a proof")
	}
	record, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		log.Fatal(err)
	}
	var index int64
	if _, err := fmt.Sscanf(lines[2], "index %d", &index); err != nil {
		log.Fatal(err)
	}
	var hashes tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			log.Fatal(err)
		}
		hashes = append(hashes, hash)
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		log.Fatal(err)
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil {
		log.Fatal(err)
	}
	tree, err := tlog.ParseTree([]byte(opened.Text))
	if err != nil {
		log.Fatal(err)
	}
	if err := tlog.CheckRecord(hashes, tree.N, tree.Hash, index, tlog.RecordHash(record)); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d of %d\n%s", index, tree.N, record)
}
