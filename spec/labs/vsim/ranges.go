package main

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// No vSphere known serves ranges of a disk; setting "ranges" makes this one do it, with
// marks, as other sources do.

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// chooseRange answers the head of a request for what lacks of a body: b.skip bytes are
// then left out. False: that was all of the answer.
func (b *body) chooseRange(r *http.Request, f *leaseFile, set settings) bool {
	if !set.Ranges || f.spec == nil || f.spec.VMDK != "" {
		return true
	}
	text, _ := json.Marshal([]any{f.name, f.spec, set.Level, set.LastGrain})
	sum := sha1.Sum(text)
	etag := `"` + hex.EncodeToString(sum[:8]) + `"`
	b.w.Header().Set("ETag", etag)
	b.w.Header().Set("Accept-Ranges", "bytes")
	asked := r.Header.Get("Range")
	first, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(asked, "bytes="), "-"), 10, 64)
	if asked == "" || err != nil || r.Header.Get("If-Range") != "" && r.Header.Get("If-Range") != etag {
		return true
	}
	size, err := sizeOf(b.context, f, set)
	if err != nil || first >= size {
		b.w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", size))
		b.w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return false
	}
	b.skip = first
	b.w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, size-1, size))
	b.w.Header().Set("Content-Length", strconv.FormatInt(size-first, 10))
	b.w.WriteHeader(http.StatusPartialContent)
	return true
}

// sizeOf makes the body once more, to count it.
func sizeOf(ctx context.Context, f *leaseFile, set settings) (int64, error) {
	var n counter
	src, err := f.spec.open()
	if err != nil {
		return 0, err
	}
	defer src.Close()
	err = writeVMDK(ctx, &n, src, vmdkOptions{set.Level, set.LastGrain == "short", set.ProgressEvery})
	return int64(n), err
}
