package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"syscall"
)

const (
	sectorSize = 512
	grainSize  = 128 * sectorSize
)

// content is what a disk holds, readable from several goroutines at once.
type content interface {
	size() int64
	// next is the first range at or after off that may hold data; start is
	// size() when there is none.
	next(off int64) (start, end int64)
	io.ReaderAt
	io.Closer
}

// fileContent is a raw file; its holes are not read.
type fileContent struct {
	*os.File
	length int64
}

func openFile(path string) (*fileContent, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &fileContent{f, st.Size()}, nil
}

func (c *fileContent) size() int64 { return c.length }

const (
	seekData = 3
	seekHole = 4
)

func (c *fileContent) next(off int64) (int64, int64) {
	if off >= c.length {
		return c.length, c.length
	}
	start, err := c.File.Seek(off, seekData)
	if err != nil {
		if pathError, ok := err.(*os.PathError); ok && pathError.Err == syscall.ENXIO {
			return c.length, c.length
		}
		return off, c.length // a file system that does not know holes
	}
	end, err := c.File.Seek(start, seekHole)
	if err != nil {
		end = c.length
	}
	return start, end
}

// patternContent is made from a seed, grain by grain, so that a large disk
// needs no file. Grain g has data if every is 1 or a hash of g says so; the
// first and the last always have.
type patternContent struct {
	kind   string // zero, random, text, mixed
	seed   uint64
	every  uint64
	length int64
}

func newPattern(kind string, seed, every uint64, length int64) (*patternContent, error) {
	if !oneOf(kind, []string{"zero", "random", "text", "mixed"}) {
		return nil, fmt.Errorf("unknown pattern %q", kind)
	}
	if every == 0 {
		every = 1
	}
	return &patternContent{kind, seed, every, length}, nil
}

func (c *patternContent) size() int64  { return c.length }
func (c *patternContent) Close() error { return nil }

func (c *patternContent) grains() int64 { return (c.length + grainSize - 1) / grainSize }

func (c *patternContent) has(g int64) bool {
	if c.kind == "zero" {
		return false
	}
	return g == 0 || g == c.grains()-1 || mix(c.seed^uint64(g)*0x9e3779b97f4a7c15)%c.every == 0
}

func (c *patternContent) next(off int64) (int64, int64) {
	for g := off / grainSize; g < c.grains(); g++ {
		if !c.has(g) {
			continue
		}
		start, end := g*grainSize, (g+1)*grainSize
		if start < off {
			start = off
		}
		if end > c.length {
			end = c.length
		}
		return start, end
	}
	return c.length, c.length
}

func (c *patternContent) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	var grain [grainSize]byte
	for n < len(p) && off < c.length {
		g := off / grainSize
		c.fill(g, grain[:])
		from := off - g*grainSize
		to := int64(grainSize)
		if g*grainSize+to > c.length {
			to = c.length - g*grainSize
		}
		k := copy(p[n:], grain[from:to])
		n += k
		off += int64(k)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// fill makes all of grain g.
func (c *patternContent) fill(g int64, out []byte) {
	if !c.has(g) {
		for i := range out {
			out[i] = 0
		}
		return
	}
	state := mix(c.seed + uint64(g)*0xd1342543de82ef95)
	kind := c.kind
	if kind == "mixed" {
		kind = [...]string{"text", "random", "text", "half"}[g&3]
	}
	switch kind {
	case "text":
		fillText(out, state)
	case "half":
		fillText(out[:len(out)/2], state)
		for i := len(out) / 2; i < len(out); i++ {
			out[i] = 0
		}
	default:
		for i := 0; i < len(out); i += 8 {
			state += 0x9e3779b97f4a7c15
			binary.LittleEndian.PutUint64(out[i:], mix(state))
		}
	}
}

var words = [...]string{
	"kernel ", "module ", "return ", "static ", "struct ", "device ", "0x0000 ", "inode\n",
	"the ", "of ", "package", "/usr/lib/", "version ", "\x00\x00\x00\x00", "\x7fELF", "import ",
}

func fillText(out []byte, state uint64) {
	for i := 0; i < len(out); {
		state += 0x9e3779b97f4a7c15
		for r, k := mix(state), 0; k < 8 && i < len(out); k++ {
			i += copy(out[i:], words[r&15])
			r >>= 4
		}
		if i < len(out) {
			out[i] = byte(state >> 40)
			i++
		}
	}
}

// mix is the finaliser of splitmix64.
func mix(z uint64) uint64 {
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}
