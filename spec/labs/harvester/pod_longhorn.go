package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	longhornv1 "github.com/longhorn/longhorn-manager/k8s/pkg/apis/longhorn/v1beta2"
)

// Longhorn's own backing-image-manager as the pod (real/build backing-image-manager); what its manager does is
// done here. Source: longhorn-manager controller/backing_image_data_source_controller.go.

// fileInfo is what the data source server says of the file; backing-image-manager api.FileInfo.
type fileInfo struct {
	State           string `json:"state"`
	Progress        int    `json:"progress"`
	Message         string `json:"message"`
	Size            int64  `json:"size"`
	VirtualSize     int64  `json:"virtualSize"`
	CurrentChecksum string `json:"currentChecksum"`
}

// Each pod has an address of its own, and the ports that it always has.
var podsSoFar atomic.Int32

func podAddress() string {
	n := podsSoFar.Add(1)
	return fmt.Sprintf("127.%d.%d.%d", 1+os.Getpid()%250, n/250%250, 1+n%250)
}

// runDataSource downloads by backing-image-manager.
func (s *standin) runDataSource(ctx context.Context, backing *longhornv1.BackingImage,
	image subject) (*body, int64, error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	relay, err := s.newRelay("backing-image-manager", image, end)
	if err != nil {
		return nil, 0, err
	}
	defer relay.close()
	disk, err := s.makeDisk()
	if err != nil {
		return nil, 0, err
	}
	defer os.RemoveAll(disk)
	address := podAddress()
	pod := exec.CommandContext(ctx, s.options.bim, "--listen", address+":8000", "--sync-listen",
		address+":8001", "--name", backing.Name, "--uuid", string(backing.UID)[:8], "--checksum",
		backing.Spec.Checksum, "--url", image.url, "--folder", disk, "--proxy", relay.url)
	gone, err := startPod(pod, end)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		end(nil)
		<-gone
	}()
	info, err := s.followDataSource(ctx, backing, "http://"+address+":8000/v1/file")
	if err != nil {
		return nil, 0, cause(ctx, err)
	}
	return &body{received: info.Size, sum: info.CurrentChecksum}, info.VirtualSize, nil
}

// makeDisk makes the folder that the pod takes for Longhorn's disk.
func (s *standin) makeDisk() (string, error) {
	folder, err := os.MkdirTemp("", "longhorn-")
	if err != nil {
		return "", err
	}
	config := fmt.Sprintf(`{"diskUUID": %q}`, longhornDisk)
	return folder, os.WriteFile(filepath.Join(folder, "longhorn-disk.cfg"), []byte(config), 0o600)
}

// startPod starts a program that ends when its standard input does: it does not outlive the stand-in. When
// it ends, so does the work for it.
func startPod(pod *exec.Cmd, end context.CancelCauseFunc) (<-chan struct{}, error) {
	pod.Stdout, pod.Stderr = os.Stderr, os.Stderr
	if _, err := pod.StdinPipe(); err != nil {
		return nil, err
	}
	if err := pod.Start(); err != nil {
		return nil, err
	}
	gone := make(chan struct{})
	go func() {
		_ = pod.Wait()
		end(errKilled)
		close(gone)
	}()
	return gone, nil
}

// followDataSource asks how far it is until it is at its end, and passes that on.
func (s *standin) followDataSource(ctx context.Context, backing *longhornv1.BackingImage,
	url string) (fileInfo, error) {
	last := -1
	for ; ctx.Err() == nil; pause(ctx, s.options.progressEvery) {
		info, err := askDataSource(ctx, url)
		if err != nil {
			continue // the pod is not there yet; or no longer, then somebody says why
		}
		switch info.State {
		case "ready-for-transfer":
			return info, nil
		case "failed", "failed-and-cleanup":
			return info, errors.New(info.Message)
		case "in-progress":
			if info.Progress != last {
				last = info.Progress
				s.backingIs(ctx, backing, longhornv1.BackingImageStateInProgress, last, info.Message)
			}
		}
	}
	return fileInfo{}, context.Cause(ctx)
}

func askDataSource(ctx context.Context, url string) (fileInfo, error) {
	var info fileInfo
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return info, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return info, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return info, errors.New(response.Status)
	}
	return info, json.NewDecoder(response.Body).Decode(&info)
}
