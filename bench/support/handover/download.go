// download is the other end of bench/handover, both of what the Go controller and what
// Longhorn make of it.
//
//	download URL             reads it to its end, 4 KiB at a time, as backing-image-manager
//	download -crc URL|FILE   the same, and prints the CRC-32C of what came
//	download -serve DIR      serves the files of DIR, and prints "http://127.0.0.1:PORT"
package main

import (
	"flag"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
)

const readSize = 4096

func serve(dir string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", listener.Addr())
	return http.Serve(listener, http.FileServer(http.Dir(dir)))
}

// open returns what is to be read, and how much that is.
func open(from string) (io.ReadCloser, int64, error) {
	if !strings.HasPrefix(from, "http:") {
		file, err := os.Open(from)
		if err != nil {
			return nil, 0, err
		}
		info, err := file.Stat()
		return file, info.Size(), err
	}
	answer, err := http.Get(from)
	if err != nil {
		return nil, 0, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("%s: %s", from, answer.Status)
	}
	return answer.Body, answer.ContentLength, nil
}

func download(from string, sum hash.Hash32) error {
	body, length, err := open(from)
	if err != nil {
		return err
	}
	defer body.Close()
	buffer, received := make([]byte, readSize), int64(0)
	for err == nil {
		var n int
		n, err = body.Read(buffer)
		received += int64(n)
		if sum != nil {
			sum.Write(buffer[:n])
		}
	}
	if err == io.EOF && received == length {
		return nil
	}
	return fmt.Errorf("%s: %d of %d bytes: %w", from, received, length, err)
}

func main() {
	withSum := flag.Bool("crc", false, "print the CRC-32C of what came")
	asServer := flag.Bool("serve", false, "serve the files of a folder")
	flag.Parse()
	var err error
	var sum hash.Hash32
	switch {
	case *asServer:
		err = serve(flag.Arg(0))
	case *withSum:
		sum = crc32.New(crc32.MakeTable(crc32.Castagnoli))
		err = download(flag.Arg(0), sum)
	default:
		err = download(flag.Arg(0), nil)
	}
	if err != nil {
		log.Fatal(err)
	}
	if sum != nil {
		fmt.Printf("%08x\n", sum.Sum32())
	}
}
