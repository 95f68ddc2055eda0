// A registry with the referrers interface of OCI 1.1, and a client that lists referrers, for tests.
//
//	referrers-peer serve                 prints the address, and stops when its standard input ends
//	referrers-peer list IMAGE FOLDER     prints the digest, artifact type and predicate type of each referrer of IMAGE,
//	                                     NAME@DIGEST, and writes the content of its only layer to FOLDER/DIGEST
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func main() {
	log.SetFlags(0)
	switch {
	case len(os.Args) == 2 && os.Args[1] == "serve":
		serve()
	case len(os.Args) == 4 && os.Args[1] == "list":
		if err := list(os.Args[2], os.Args[3]); err != nil {
			log.Fatal(err)
		}
	default:
		log.Fatal("usage: referrers-peer serve | list IMAGE FOLDER")
	}
}

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	handler := registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
	log.Fatal(http.Serve(listener, withSubject(handler)))
}

// withSubject answers with the header OCI-Subject, which the specification demands and the package leaves out.
func withSubject(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			var manifest struct{ Subject struct{ Digest string } }
			if json.Unmarshal(body, &manifest) == nil && manifest.Subject.Digest != "" {
				w.Header().Set("OCI-Subject", manifest.Subject.Digest)
			}
		}
		next.ServeHTTP(w, r)
	})
}

func list(image, folder string) error {
	subject, err := name.NewDigest(image, name.Insecure)
	if err != nil {
		return err
	}
	index, err := remote.Referrers(subject)
	if err != nil {
		return err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	for _, one := range manifest.Manifests {
		fmt.Println(one.Digest, one.ArtifactType, one.Annotations["in-toto.io/predicate-type"])
		artifact, err := remote.Image(subject.Context().Digest(one.Digest.String()))
		if err != nil {
			return err
		}
		layers, err := artifact.Layers()
		if err != nil {
			return err
		}
		if len(layers) != 1 {
			return fmt.Errorf("%s has %d layers", one.Digest, len(layers))
		}
		// The content is compared with the digest of the layer.
		content, err := layers[0].Compressed()
		if err != nil {
			return err
		}
		defer content.Close()
		text, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, one.Digest.Hex), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
