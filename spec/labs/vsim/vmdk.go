package main

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
)

// Stream-optimised VMDK as vSphere sends it: header without a grain directory,
// compressed grains in ascending order with each grain table after its grains,
// directory, footer, end-of-stream marker. Source: Virtual Disk Format 5.0 and
// the streams of ESXi, which are zlib and carry progress markers.
const (
	overheadSectors  = 128
	descriptorSector = 1
	descriptorSize   = 20
	tableEntries     = 512
	tableSectors     = tableEntries * 4 / sectorSize
	sectorsPerGrain  = grainSize / sectorSize

	markerEOS       = 0
	markerTable     = 1
	markerDirectory = 2
	markerFooter    = 3
	markerProgress  = 4
)

type vmdkOptions struct {
	level         int
	shortTail     bool // the last grain ends at the capacity
	progressEvery int  // grains
}

type vmdkWriter struct {
	out       io.Writer
	options   vmdkOptions
	capacity  int64 // sectors
	position  int64 // sectors written
	table     [tableEntries]uint32
	tableAt   int64 // which table is being filled, -1: none
	directory []uint32
	grains    int
}

// writeVMDK sends src as one stream. Memory is bounded by the jobs in flight.
func writeVMDK(ctx context.Context, out io.Writer, src content, o vmdkOptions) error {
	w := &vmdkWriter{out: out, options: o, tableAt: -1}
	w.capacity = (src.size() + sectorSize - 1) / sectorSize
	perTable := int64(tableEntries * sectorsPerGrain)
	w.directory = make([]uint32, (w.capacity+perTable-1)/perTable)
	if err := w.head(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for job := range compressGrains(ctx, src, o) {
		<-job.done
		if job.err == nil && !job.empty {
			job.err = w.grain(job.lba, job.packed.Bytes())
		}
		if job.err != nil {
			return job.err
		}
		job.pool <- job
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return w.tail()
}

func (w *vmdkWriter) write(p []byte) error {
	if len(p)%sectorSize != 0 {
		panic("vmdk: partial sector")
	}
	if _, err := w.out.Write(p); err != nil {
		return err
	}
	w.position += int64(len(p) / sectorSize)
	return nil
}

func (w *vmdkWriter) header(directory uint64) []byte {
	h := make([]byte, sectorSize)
	le := binary.LittleEndian
	copy(h, "KDMV")
	le.PutUint32(h[4:], 3)
	le.PutUint32(h[8:], 0x30001)
	le.PutUint64(h[12:], uint64(w.capacity))
	le.PutUint64(h[20:], sectorsPerGrain)
	le.PutUint64(h[28:], descriptorSector)
	le.PutUint64(h[36:], descriptorSize)
	le.PutUint32(h[44:], tableEntries)
	le.PutUint64(h[56:], directory)
	le.PutUint64(h[64:], overheadSectors)
	copy(h[73:], "\n \r\n")
	le.PutUint16(h[77:], 1)
	return h
}

func (w *vmdkWriter) head() error {
	b := make([]byte, overheadSectors*sectorSize)
	copy(b, w.header(^uint64(0)))
	cylinders := w.capacity / (255 * 63)
	if cylinders > 65535 {
		cylinders = 65535
	}
	text := fmt.Sprintf("# Disk DescriptorFile\nversion=1 \nCID=%08x \nparentCID=ffffffff \n"+
		"createType=\"streamOptimized\" \n\n# Extent description\n"+
		"RDONLY %d SPARSE \"generated-stream.vmdk\"\n\n"+
		"# The Disk Data Base \n#DDB\n\n"+
		"ddb.adapterType = \"lsilogic\" \nddb.geometry.cylinders = \"%d\" \n"+
		"ddb.geometry.heads = \"255\" \nddb.geometry.sectors = \"63\" \n"+
		"ddb.longContentID = \"%032x\" \nddb.virtualHWVersion = \"14\" \n",
		uint32(w.capacity)^0x5eed, w.capacity, cylinders, w.capacity)
	copy(b[descriptorSector*sectorSize:], text)
	return w.write(b)
}

// marker writes val, size 0 and the type; progress markers carry an LBA too.
func (w *vmdkWriter) marker(val uint64, kind uint32, lba uint64) error {
	m := make([]byte, sectorSize)
	binary.LittleEndian.PutUint64(m, val)
	binary.LittleEndian.PutUint32(m[12:], kind)
	binary.LittleEndian.PutUint64(m[16:], lba)
	return w.write(m)
}

func (w *vmdkWriter) grain(lba int64, packed []byte) error {
	at := lba / sectorsPerGrain / tableEntries
	if at != w.tableAt {
		if err := w.flushTable(); err != nil {
			return err
		}
		w.tableAt = at
	}
	w.table[lba/sectorsPerGrain%tableEntries] = uint32(w.position)
	b := make([]byte, (12+len(packed)+sectorSize-1)/sectorSize*sectorSize)
	binary.LittleEndian.PutUint64(b, uint64(lba))
	binary.LittleEndian.PutUint32(b[8:], uint32(len(packed)))
	copy(b[12:], packed)
	if err := w.write(b); err != nil {
		return err
	}
	w.grains++
	if w.options.progressEvery == 0 || w.grains%w.options.progressEvery != 0 {
		return nil
	}
	for i := 0; i < 4; i++ {
		if err := w.marker(0, markerProgress, uint64(lba)); err != nil {
			return err
		}
	}
	return nil
}

func (w *vmdkWriter) flushTable() error {
	if w.tableAt < 0 {
		return nil
	}
	if err := w.marker(tableSectors, markerTable, 0); err != nil {
		return err
	}
	w.directory[w.tableAt] = uint32(w.position)
	b := make([]byte, tableSectors*sectorSize)
	for i, e := range w.table {
		binary.LittleEndian.PutUint32(b[4*i:], e)
	}
	w.table = [tableEntries]uint32{}
	return w.write(b)
}

func (w *vmdkWriter) tail() error {
	if err := w.flushTable(); err != nil {
		return err
	}
	b := make([]byte, (4*len(w.directory)+sectorSize-1)/sectorSize*sectorSize)
	for i, e := range w.directory {
		binary.LittleEndian.PutUint32(b[4*i:], e)
	}
	if err := w.marker(uint64(len(b)/sectorSize), markerDirectory, 0); err != nil {
		return err
	}
	directory := uint64(w.position)
	if err := w.write(b); err != nil {
		return err
	}
	if err := w.marker(1, markerFooter, 0); err != nil {
		return err
	}
	if err := w.write(w.header(directory)); err != nil {
		return err
	}
	return w.marker(0, markerEOS, 0)
}

// grainJob is one grain on its way through a compressor.
type grainJob struct {
	lba    int64 // sectors
	raw    []byte
	packed bytes.Buffer
	empty  bool
	err    error
	done   chan struct{}
	pool   chan *grainJob // where it goes back to
}

// compressGrains reads src and compresses its grains on all cores. The jobs
// come in the order of the disk, perhaps not done yet; each goes back to its
// pool, which is the only bound. An error is in the last job.
func compressGrains(ctx context.Context, src content, o vmdkOptions) <-chan *grainJob {
	workers := runtime.GOMAXPROCS(0)
	pool := make(chan *grainJob, 4*workers)
	ordered := make(chan *grainJob, cap(pool))
	work := make(chan *grainJob, cap(pool))
	for i := 0; i < cap(pool); i++ {
		pool <- &grainJob{raw: make([]byte, grainSize), pool: pool}
	}
	for i := 0; i < workers; i++ {
		go func() {
			z, err := zlib.NewWriterLevel(io.Discard, o.level)
			for job := range work {
				if job.err = err; err == nil {
					job.compress(z, src, o)
				}
				close(job.done)
			}
		}()
	}
	go func() {
		defer close(ordered)
		defer close(work)
		for off := int64(0); ; off += grainSize {
			start, _ := src.next(off)
			if start >= src.size() {
				return
			}
			off = start / grainSize * grainSize
			select {
			case job := <-pool:
				job.lba, job.done = off/sectorSize, make(chan struct{})
				ordered <- job
				work <- job
			case <-ctx.Done():
				return
			}
		}
	}()
	return ordered
}

func (job *grainJob) compress(z *zlib.Writer, src content, o vmdkOptions) {
	raw := job.raw[:grainSize]
	off := job.lba * sectorSize
	n, err := src.ReadAt(raw, off)
	if err != nil && err != io.EOF {
		job.err = err
		return
	}
	for i := n; i < grainSize; i++ {
		raw[i] = 0
	}
	if o.shortTail && n < grainSize {
		raw = raw[:(n+sectorSize-1)/sectorSize*sectorSize]
	}
	job.empty = allZero(raw)
	if job.empty {
		return
	}
	job.packed.Reset()
	z.Reset(&job.packed)
	if _, err = z.Write(raw); err == nil {
		err = z.Close()
	}
	job.err = err
}

func allZero(p []byte) bool {
	for len(p) >= 8 {
		if binary.LittleEndian.Uint64(p) != 0 {
			return false
		}
		p = p[8:]
	}
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}
