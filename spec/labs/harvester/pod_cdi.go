package main

import (
	"context"
	"crypto/sha512"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
)

// CDI's own importer as the pod (real/build cdi-importer); what its controller does is done here. Source: CDI
// pkg/controller/import-controller.go.

//go:embed pod.sh
var inPod string

// importByPod runs the importer: without scratch space first, and again with it when it asks for that.
func (s *standin) importByPod(ctx context.Context, volume *cdiv1.DataVolume,
	claim *corev1.PersistentVolumeClaim, image subject) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	folder, err := os.MkdirTemp("", "cdi-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	relay, err := s.newRelay("cdi-importer", image, end)
	if err != nil {
		return err
	}
	defer relay.close()
	relay.progress = func(received, length int64) {
		if length > 0 {
			s.volumeIs(ctx, volume, cdiv1.ImportInProgress, fmt.Sprintf("%.2f%%",
				float64(received)*100/float64(length)), "")
		}
	}
	again, err := s.importerPod(ctx, claim, image, folder, relay.url)
	if err == nil && again {
		if err = os.Mkdir(filepath.Join(folder, "scratch"), 0o755); err != nil {
			return err
		}
		again, err = s.importerPod(ctx, claim, image, folder, relay.url)
	}
	if err != nil {
		return cause(ctx, err)
	}
	if again {
		return errors.New("the importer asks for scratch space that it has")
	}
	return sameBytes(filepath.Join(folder, "data", "disk.img"), relay.last)
}

// importerPod is one life of the pod; it says whether it needs scratch space.
func (s *standin) importerPod(ctx context.Context, claim *corev1.PersistentVolumeClaim, image subject,
	folder, proxy string) (bool, error) {
	pod := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
		inPod, "pod", folder, s.options.importer)
	pod.Env = []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "IMPORTER_SOURCE=http", "IMPORTER_ENDPOINT=" + image.url,
		"IMPORTER_CONTENTTYPE=kubevirt", "IMPORTER_IMAGE_SIZE=" + claim.Spec.Resources.Requests.Storage().String(),
		"OWNER_UID=" + string(claim.UID), "FILESYSTEM_OVERHEAD=0", "INSECURE_TLS=false",
		"PREALLOCATION=false", "http_proxy=" + proxy,
	}
	pod.Stdout, pod.Stderr = os.Stderr, os.Stderr
	if _, err := pod.StdinPipe(); err != nil {
		return false, err
	}
	failed := pod.Run()
	said, err := os.ReadFile(filepath.Join(folder, "termination-log"))
	if err != nil || failed != nil {
		return false, fmt.Errorf("%s (%w)", strings.TrimSpace(string(said)), errors.Join(failed, err))
	}
	var message struct {
		Scratch bool `json:"scratchSpaceRequired"`
	}
	return message.Scratch, json.Unmarshal(said, &message)
}

// sameBytes compares what the importer has written with what it was sent.
func sameBytes(path string, sent *body) error {
	if sent == nil {
		return errors.New("the importer is done without having read the image")
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha512.New()
	if _, err := io.CopyN(sum, file, sent.received); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != sent.sum {
		return fmt.Errorf("the importer wrote %s and was sent %s", got, sent.sum)
	}
	return nil
}
