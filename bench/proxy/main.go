// The other side of the benchmark of the module proxy: the server that it fetches from, and its clients.
package main

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	log.SetFlags(0)
	switch {
	case len(os.Args) == 5 && os.Args[1] == "upstream":
		upstream(os.Args[2], os.Args[3], os.Args[4])
	case len(os.Args) == 6 && os.Args[1] == "load":
		load(os.Args[2], os.Args[3], number(os.Args[4]), time.Duration(number(os.Args[5]))*time.Second)
	default:
		log.Fatal("usage: proxy upstream NAME TREE SUMS | proxy load URL PATHS CLIENTS SECONDS")
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	check(err)
	return n
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func lines(name string) []string {
	text, err := os.ReadFile(name)
	check(err)
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// upstream serves a file tree of modules, and a checksum database called name with the sums of a file in the form of
// go.sum. It prints its URL and the key of the database.
func upstream(name, tree, sums string) {
	private, public, err := note.GenerateKey(rand.Reader, name)
	check(err)
	records := map[string][]byte{}
	for _, line := range lines(sums) {
		words := strings.Fields(line)
		id := words[0] + "@" + strings.TrimSuffix(words[1], "/go.mod")
		records[id] = append(records[id], line+"\n"...)
	}
	database := sumdb.NewTestServer(private, func(path, version string) ([]byte, error) {
		if record, ok := records[path+"@"+version]; ok {
			return record, nil
		}
		return nil, os.ErrNotExist
	})
	prefix := "/sumdb/" + name
	mux := http.NewServeMux()
	for _, path := range sumdb.ServerPaths {
		mux.Handle(prefix+path, http.StripPrefix(prefix, sumdb.NewServer(database)))
	}
	mux.HandleFunc(prefix+"/supported", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("/", http.FileServer(http.Dir(tree)))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Printf("http://%s %s\n", listener.Addr(), public)
	check(http.Serve(listener, mux))
}

// load requests the paths in a file: each of them once if limit is zero, else in turn until the time is over. It prints the
// number of requests, the number of bytes, and the seconds.
func load(url, paths string, clients int, limit time.Duration) {
	all := lines(paths)
	transport := &http.Transport{MaxIdleConnsPerHost: clients, MaxConnsPerHost: clients, DisableCompression: true}
	client := &http.Client{Transport: transport}
	var next, requests, bytes atomic.Int64
	start := time.Now()
	var group sync.WaitGroup
	for range clients {
		group.Add(1)
		go func() {
			defer group.Done()
			buffer := bufio.NewWriterSize(io.Discard, 1<<16)
			for {
				at := next.Add(1) - 1
				if limit == 0 && at >= int64(len(all)) || limit > 0 && time.Since(start) >= limit {
					return
				}
				path := all[at%int64(len(all))]
				response, err := client.Get(url + path)
				check(err)
				count, err := io.Copy(buffer, response.Body)
				check(err)
				response.Body.Close()
				if response.StatusCode != http.StatusOK {
					log.Fatalf("%s: %s", path, response.Status)
				}
				requests.Add(1)
				bytes.Add(count)
			}
		}()
	}
	group.Wait()
	fmt.Println(requests.Load(), bytes.Load(), time.Since(start).Seconds())
}
