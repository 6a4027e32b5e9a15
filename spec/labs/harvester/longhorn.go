package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	harvesterv1 "github.com/harvester/harvester/pkg/apis/harvesterhci.io/v1beta1"
	longhornv1 "github.com/longhorn/longhorn-manager/k8s/pkg/apis/longhorn/v1beta2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Longhorn's part: a pod per BackingImage that downloads it. Source: backing-image-manager pkg/sync,
// longhorn-manager controller/backing_image_data_source_controller.go.

// The one disk that the file lies on.
const longhornDisk = "8d7b2c4e-0000-4000-8000-5a4d1e6f0001"

// pods are the downloads that run, by the uid of what they are for.
type pods struct {
	mutex   sync.Mutex
	running map[types.UID]context.CancelFunc
}

// start runs the pod unless it is running.
func (p *pods) start(ctx context.Context, uid types.UID, run func(context.Context)) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.running[uid] != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	p.running[uid] = cancel
	go func() {
		defer p.stop(uid)
		run(ctx)
	}()
}

func (p *pods) stop(uid types.UID) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if cancel := p.running[uid]; cancel != nil {
		cancel()
		delete(p.running, uid)
	}
}

// forget ends the pods of what is not there any more. Only of those that ran before it asks: one that another
// worker starts meanwhile may be for an object that the answer does not have yet.
func (p *pods) forget(there func() map[types.UID]bool) {
	p.mutex.Lock()
	ran := make([]types.UID, 0, len(p.running))
	for uid := range p.running {
		ran = append(ran, uid)
	}
	p.mutex.Unlock()
	uids := there()
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, uid := range ran {
		if cancel := p.running[uid]; cancel != nil && uids != nil && !uids[uid] {
			cancel()
		}
	}
}

func (s *standin) reconcileBacking(ctx context.Context,
	request reconcile.Request) (reconcile.Result, error) {
	var backing longhornv1.BackingImage
	if err := s.client.Get(ctx, request.NamespacedName, &backing); err != nil {
		s.forgetPods(ctx)
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !isEnded(&backing) {
		s.pods.start(s.context, backing.UID, func(ctx context.Context) {
			s.runBacking(ctx,
				&backing)
		})
	}
	return s.tellImage(ctx, &backing)
}

func isEnded(backing *longhornv1.BackingImage) bool {
	file := backing.Status.DiskFileStatusMap[longhornDisk]
	return file != nil && (file.State == longhornv1.BackingImageStateReady ||
		file.State == longhornv1.BackingImageStateFailed)
}

// downloads are the uids of everything that may have a pod; nil when that cannot be told.
func (s *standin) downloads(ctx context.Context) map[types.UID]bool {
	var list longhornv1.BackingImageList
	if s.client.List(ctx, &list) != nil {
		return nil
	}
	uids := s.dataVolumeUIDs(ctx)
	for _, backing := range list.Items {
		if uids != nil {
			uids[backing.UID] = true
		}
	}
	return uids
}

// forgetPods ends the downloads of what is gone.
func (s *standin) forgetPods(ctx context.Context) {
	s.pods.forget(func() map[types.UID]bool { return s.downloads(ctx) })
}

// tellImage passes on to the VirtualMachineImage what Longhorn says of its BackingImage.
func (s *standin) tellImage(ctx context.Context,
	backing *longhornv1.BackingImage) (reconcile.Result, error) {
	namespace, name, found := strings.Cut(backing.Annotations[annotationImageID], "/")
	file := backing.Status.DiskFileStatusMap[longhornDisk]
	if !found || file == nil || s.options.real {
		return reconcile.Result{}, nil
	}
	var image harvesterv1.VirtualMachineImage
	if err := s.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &image); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if conditionIs(&image, harvesterv1.ImageRetryLimitExceeded, corev1.ConditionTrue) ||
		conditionIs(&image, harvesterv1.ImageImported, corev1.ConditionTrue) ||
		image.DeletionTimestamp != nil {
		return reconcile.Result{}, nil
	}
	if !conditionIs(&image, harvesterv1.ImageInitialized, corev1.ConditionTrue) {
		return reconcile.Result{RequeueAfter: 50 * time.Millisecond}, nil
	}
	var err error
	switch {
	case file.State == longhornv1.BackingImageStateFailed:
		err = s.counted.once(string(backing.UID), func() error {
			return s.failImage(ctx, &image, harvesterv1.ImageImported, file.Message, file.Progress)
		})
	case file.State == longhornv1.BackingImageStateReady:
		err = s.imported(ctx, &image, backing.Status.Size, backing.Status.VirtualSize)
	case file.Progress != image.Status.Progress:
		err = s.importing(ctx, &image, file.Message, file.Progress)
	}
	return reconcile.Result{}, err
}

// runBacking is a data source pod, and those that follow it when it is killed.
func (s *standin) runBacking(ctx context.Context, backing *longhornv1.BackingImage) {
	image := subject{
		image: backing.Annotations[annotationImageID], uid: string(backing.UID),
		url: backing.Spec.SourceParameters[longhornv1.DataSourceTypeDownloadParameterURL],
	}
	// A pod before this one may have ended after the object was read.
	if s.client.Get(ctx, client.ObjectKeyFromObject(backing), backing) != nil || isEnded(backing) {
		return
	}
	image.display = s.displayName(ctx, image.image)
	for ctx.Err() == nil {
		s.backingIs(ctx, backing, longhornv1.BackingImageStateStarting, 0, "")
		done, virtualSize, err := s.fetchBacking(ctx, backing, image)
		switch {
		case errors.Is(err, errKilled):
			s.backingIs(ctx, backing, longhornv1.BackingImageStatePending, 0, "")
			pause(ctx, s.options.podRetry)
			continue
		case ctx.Err() != nil:
			return
		case err != nil:
			progress := 0
			if file := backing.Status.DiskFileStatusMap[longhornDisk]; file != nil {
				progress = file.Progress
			}
			s.backingIs(ctx, backing, longhornv1.BackingImageStateFailed, progress, err.Error())
			return
		}
		sum := done.sum
		if s.faults.take("checksum", image.names()...) != nil {
			sum = strings.Repeat("0", len(sum))
		}
		backing.Status.Checksum, backing.Status.UUID = sum, string(backing.UID)[:8]
		backing.Status.Size, backing.Status.RealSize = done.received, done.received
		backing.Status.VirtualSize = virtualSize
		s.backingIs(ctx, backing, longhornv1.BackingImageStateReady, 100, "")
		return
	}
}

// fetchBacking asks for the size, downloads, and checks what came.
func (s *standin) fetchBacking(ctx context.Context, backing *longhornv1.BackingImage,
	image subject) (*body, int64, error) {
	if s.options.bim != "" {
		return s.runDataSource(ctx, backing, image)
	}
	pod := s.newPuller("backing-image-manager", "", 0)
	defer pod.close()
	limited, cancel := context.WithTimeout(ctx, s.options.sourceTimeout)
	head, err := pod.head(limited, image, func(status int) bool { return status == http.StatusOK })
	cancel()
	if err != nil {
		return nil, 0, err
	}
	size := head.ContentLength // -1: not said
	done, err := pod.get(ctx, image, download{
		begin: s.options.beginTimeout, idle: s.options.idleTimeout, every: s.options.progressEvery,
		progress: func(received, _ int64) {
			if size > 0 {
				s.backingIs(ctx, backing, longhornv1.BackingImageStateInProgress,
					int(received*100/size), "")
			}
		},
	})
	if err != nil {
		return nil, 0, err
	}
	if size > 0 && done.received != size {
		return nil, 0, fmt.Errorf("received %d bytes of %s, but HEAD announced %d", done.received,
			image.url, size)
	}
	if want := backing.Spec.Checksum; want != "" && want != done.sum {
		return nil, 0, fmt.Errorf("the checksum of what was received is %s, expected was %s",
			done.sum, want)
	}
	return done, virtualSizeOf(done.first, done.received), nil
}

// backingIs writes the status, if the object is still there.
func (s *standin) backingIs(ctx context.Context, backing *longhornv1.BackingImage,
	state longhornv1.BackingImageState, progress int, message string) {
	before := backing.DeepCopy()
	before.Status = longhornv1.BackingImageStatus{}
	backing.Status.OwnerID = "standin"
	backing.Status.DiskFileStatusMap = map[string]*longhornv1.BackingImageDiskFileStatus{longhornDisk: {
		State: state, Progress: progress, Message: message, DataEngine: longhornv1.DataEngineTypeV1,
		LastStateTransitionTime: time.Now().UTC().Format(time.RFC3339),
	}}
	status := backing.Status
	for ctx.Err() == nil {
		err := s.client.Status().Patch(ctx, backing, client.MergeFrom(before))
		backing.Status = status // the answer may be older than what we know
		if client.IgnoreNotFound(err) == nil {
			return
		}
		pause(ctx, 200*time.Millisecond) // a restarting server: the state must not get lost
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
