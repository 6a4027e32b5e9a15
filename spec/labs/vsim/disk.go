package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// writeDisk is `vsim disk`: a disk as the server would send it, or the raw
// bytes it stands for, in a file: what a test compares a download with.
func writeDisk(args []string) error {
	flags := flag.NewFlagSet("disk", flag.ContinueOnError)
	spec := flags.String("disk", "", "a disk of a scenario, as JSON")
	dir := flags.String("disks", ".", "folder that its file is relative to")
	output := flags.String("output", "", "file to write")
	format := flags.String("format", "raw", "raw (sparse) or vmdk")
	level := flags.Int("level", 1, "zlib level of vmdk")
	tail := flags.String("last-grain", "full", "full or short")
	progress := flags.Int("progress-every", 1024, "grains between progress markers")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var d diskSpec
	if err := json.Unmarshal([]byte(*spec), &d); err != nil {
		return fmt.Errorf("--disk: %w", err)
	}
	if err := d.resolve(*dir); err != nil {
		return err
	}
	if d.VMDK != "" {
		return fmt.Errorf("%s is prepared already", filepath.Base(d.VMDK))
	}
	src, err := d.open()
	if err != nil {
		return err
	}
	defer src.Close()
	f, err := os.Create(*output)
	if err != nil {
		return err
	}
	if *format == "vmdk" {
		buffered := bufio.NewWriterSize(f, 1<<20)
		o := vmdkOptions{*level, *tail == "short", *progress}
		if err = writeVMDK(context.Background(), buffered, src, o); err == nil {
			err = buffered.Flush()
		}
	} else {
		err = copyRaw(f, src, int64(d.Capacity))
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

func copyRaw(f *os.File, src content, size int64) error {
	buffer := make([]byte, grainSize)
	for off := int64(0); ; {
		start, end := src.next(off)
		if start >= src.size() {
			return f.Truncate(size)
		}
		if end > start+grainSize {
			end = start + grainSize
		}
		n, err := src.ReadAt(buffer[:end-start], start)
		if err != nil && err != io.EOF {
			return err
		}
		if _, err = f.WriteAt(buffer[:n], start); err != nil {
			return err
		}
		off = start + int64(n)
	}
}
