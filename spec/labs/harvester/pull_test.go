package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	harvesterv1 "github.com/harvester/harvester/pkg/apis/harvesterhci.io/v1beta1"
	longhornv1 "github.com/longhorn/longhorn-manager/k8s/pkg/apis/longhorn/v1beta2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	kubevirtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func imageFor(t *testing.T, ns, url string, changes map[string]any) {
	t.Helper()
	all := map[string]any{"spec|url": url, "spec|displayName": ns}
	for key, value := range changes {
		all[key] = value
	}
	o := object(t, goodImage, all)
	o.SetNamespace(ns)
	create(t, o)
}

var asCDI = map[string]any{
	"spec|backend": "cdi", "metadata|annotations|harvesterhci.io/storageClassName": "longhorn-v2",
}

// What is found gone must not take a pod with it that another worker starts at that moment.
func TestPodsThatBeginMeanwhile(t *testing.T) {
	p := &pods{running: map[types.UID]context.CancelFunc{}}
	begin := func(uid types.UID) <-chan struct{} {
		ended := make(chan struct{})
		p.start(ctx, uid, func(ctx context.Context) { <-ctx.Done(); close(ended) })
		return ended
	}
	stays, goes := begin("stays"), begin("goes")
	var begun <-chan struct{}
	p.forget(func() map[types.UID]bool {
		begun = begin("begun")
		return map[types.UID]bool{"stays": true}
	})
	<-goes
	for name, ended := range map[string]<-chan struct{}{"stays": stays, "begun": begun} {
		select {
		case <-ended:
			t.Errorf("%s was ended", name)
		default:
		}
	}
	p.stop("stays")
	p.stop("begun")
}

func TestLonghornPull(t *testing.T) {
	ns := namespace(t)
	url, sum := serveDisk(t)
	imageFor(t, ns, url, map[string]any{"spec|checksum": sum})
	image := imageIs(t, ns, "image-a", "is imported", isImported)
	lines, all := exchanges(t, ns, "image-a")
	want := []string{"harvester HEAD 200", "backing-image-manager HEAD 200",
		"backing-image-manager GET 200"}
	if !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
	if last := all[len(all)-1]; last.SHA512 != sum || last.Bytes != 5<<20+512 || last.Zeros < 3<<20 {
		t.Errorf("%+v", last)
	}
	if image.Status.StorageClassName != "lh-"+string(image.UID) || image.Status.Size != 5<<20+512 || image.Status.Progress != 100 {
		t.Errorf("%+v", image.Status)
	}
	backing := get(t, &longhornv1.BackingImage{}, longhornNamespace, "vmi-"+string(image.UID))
	if backing.Status.Checksum != sum {
		t.Errorf("checksum %s", backing.Status.Checksum)
	}
	t.Run("a claim that is too small is not bound", func(t *testing.T) {
		o := object(t, claim1, map[string]any{"metadata|name": "small",
			"spec|storageClassName":           image.Status.StorageClassName,
			"spec|resources|requests|storage": "1Mi"})
		o.SetNamespace(ns)
		create(t, o)
		eventually(t, "an Event says why", func() (bool, any) {
			var events corev1.EventList
			_ = cluster.List(ctx, &events, client.InNamespace(ns))
			return len(events.Items) > 0 && strings.Contains(events.Items[0].Message,
				"larger than the backing image"), events.Items
		})
		if err := cluster.Delete(ctx, o); err != nil {
			t.Fatal(err)
		}
		gone(t, &corev1.PersistentVolumeClaim{}, ns, "small")
	})
	t.Run("a machine runs from a claim, and the image stays", func(t *testing.T) {
		runMachine(t, ns, image.Status.StorageClassName)
		refused(t, cluster.Delete(ctx, image), "being used by volume")
	})
}

func runMachine(t *testing.T, ns, class string) {
	t.Helper()
	_ = cluster.Create(ctx, object(t, network1, nil))
	claim := object(t, claim1, map[string]any{"metadata|name": "d0", "spec|storageClassName": class,
		"spec|resources|requests|storage": "6Mi"})
	claim.SetNamespace(ns)
	if class != "" {
		create(t, claim)
	}
	o := object(t, goodMachine, map[string]any{
		"spec|runStrategy": "RerunOnFailure",
		"spec|template|spec|domain|devices|interfaces":              []any{},
		"spec|template|spec|networks":                               []any{},
		"metadata|annotations|harvesterhci.io/volumeClaimTemplates": nil,
	})
	o.SetNamespace(ns)
	create(t, o)
	machineIs(t, ns, kubevirtv1.VirtualMachineStatusRunning)
	machine := get(t, &kubevirtv1.VirtualMachine{}, ns, "vm")
	if !machine.Status.Ready {
		t.Errorf("%+v", machine.Status)
	}
	if err := cluster.Delete(ctx, machine); err != nil {
		t.Fatal(err)
	}
	gone(t, &kubevirtv1.VirtualMachineInstance{}, ns, "vm")
	gone(t, &kubevirtv1.VirtualMachine{}, ns, "vm")
}

func machineIs(t *testing.T, ns string, status kubevirtv1.VirtualMachinePrintableStatus) {
	t.Helper()
	eventually(t, "vm is "+string(status), func() (bool, any) {
		machine := get(t, &kubevirtv1.VirtualMachine{}, ns, "vm")
		return machine.Status.PrintableStatus == status, machine.Status
	})
}

func TestCDIPull(t *testing.T) {
	ns := namespace(t)
	url, sum := serveDisk(t)
	imageFor(t, ns, url, asCDI)
	image := imageIs(t, ns, "image-a", "is imported", isImported)
	lines, all := exchanges(t, ns, "image-a")
	want := []string{
		"harvester GET bytes=0-127 206", "harvester HEAD 200", "cdi-importer HEAD 200",
		"cdi-importer GET 200",
		"cdi-importer GET bytes=0-511 206", "cdi-importer GET bytes=5242880-5243391 206",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
	if all[3].SHA512 != sum || all[3].Sent.Get("User-Agent") != "cdi-golang-importer" {
		t.Errorf("%+v", all[3])
	}
	if image.Status.StorageClassName != "longhorn-v2" || image.Status.VirtualSize != 5<<20+512 {
		t.Errorf("%+v", image.Status)
	}
	golden := get(t, &corev1.PersistentVolumeClaim{}, ns, "image-a")
	if golden.Annotations[annotationGolden] != "true" {
		t.Errorf("%v", golden.Annotations)
	}
	refused(t, cluster.Delete(ctx, golden), "golden image")
	refused(t, cluster.Delete(ctx, get(t, &cdiv1.DataVolume{}, ns, "image-a")), "owned by VMImage")
	t.Run("a second DataVolume of the name is refused", func(t *testing.T) {
		o := object(t, claim1, map[string]any{"metadata|name": "taken",
			"spec|storageClassName": "longhorn-v2"})
		o.SetNamespace(ns)
		create(t, o)
		clone := cloneOf(ns, "taken", "image-a", "6Mi")
		refused(t, cluster.Create(ctx, clone), "already exists")
	})
	t.Run("a machine runs from a clone, and the image may go", func(t *testing.T) {
		create(t, cloneOf(ns, "d0", "image-a", "6Mi"))
		runMachine(t, ns, "")
		if err := cluster.Delete(ctx, image); err != nil {
			t.Fatal(err)
		}
		gone(t, &harvesterv1.VirtualMachineImage{}, ns, "image-a")
		gone(t, &corev1.PersistentVolumeClaim{}, ns, "image-a")
		get(t, &corev1.PersistentVolumeClaim{}, ns, "d0")
	})
}

func cloneOf(ns, name, source, size string) *cdiv1.DataVolume {
	class := "longhorn-v2"
	volume := &cdiv1.DataVolume{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
	volume.Spec.Source = &cdiv1.DataVolumeSource{PVC: &cdiv1.DataVolumeSourcePVC{Namespace: ns,
		Name: source}}
	volume.Spec.Storage = &cdiv1.StorageSpec{StorageClassName: &class}
	volume.Spec.Storage.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
	return volume
}

// Servers that do something wrong, and what becomes of the image, whose retry is 0.
func TestBadServers(t *testing.T) {
	data, _ := disk()
	whole := func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}
	onGet := func(get http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				get(w, r)
			} else {
				whole(w, r)
			}
		}
	}
	for _, c := range []struct {
		name, words string
		server      http.HandlerFunc
		changes     map[string]any
	}{
		{"nothing there", "404", http.NotFound, nil},
		{"HEAD is refused", "405", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusMethodNotAllowed)
			} else {
				whole(w, r)
			}
		}, nil},
		{"206 to a plain GET", "expected status code 200", onGet(func(w http.ResponseWriter,
			_ *http.Request) {
			w.WriteHeader(http.StatusPartialContent)
		}), nil},
		{"a body that is too short", "unexpected EOF", onGet(func(w http.ResponseWriter,
			_ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			_, _ = w.Write(data[:4096])
			panic(http.ErrAbortHandler)
		}), nil},
		{"another length than announced", "HEAD announced", onGet(func(w http.ResponseWriter,
			_ *http.Request) {
			_, _ = w.Write(data[:1000])
		}), nil},
		{"a pause that is too long", "nothing was received for", onGet(func(w http.ResponseWriter,
			r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			_, _ = w.Write(data[:4096])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}), nil},
		{"another checksum", "checksum", whole, map[string]any{"spec|checksum": "00"}},
		{"cdi: no length", "no Content-Length", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				_, _ = w.Write(data)
			} else {
				w.Header().Set("Transfer-Encoding", "chunked")
			}
		}, asCDI},
		{"cdi: less than 128 bytes", "less than 128", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(data[:100])
		}, asCDI},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ns := namespace(t)
			imageFor(t, ns, serve(t, c.server), c.changes)
			image := imageIs(t, ns, "image-a", "has failed", isExceeded)
			text := message(image, harvesterv1.ImageRetryLimitExceeded)
			if !strings.HasPrefix(text, "failed due to error: ") || !strings.Contains(text, c.words) {
				t.Errorf("message %q", text)
			}
		})
	}
}

func TestRangesThatLie(t *testing.T) {
	ns := namespace(t)
	data, _ := disk()
	imageFor(t, ns, serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Accept-Ranges", "bytes")
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(data)
		}
	}), asCDI)
	eventually(t, "the importer complains", func() (bool, any) {
		var volume cdiv1.DataVolume
		_ = cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "image-a"}, &volume)
		for _, c := range volume.Status.Conditions {
			if strings.Contains(c.Message, "Content-Range") {
				return volume.Status.RestartCount > 0, volume.Status
			}
		}
		return false, volume.Status
	})
	image := get(t, &harvesterv1.VirtualMachineImage{}, ns, "image-a")
	if isExceeded(image) || isImported(image) {
		t.Errorf("CDI never gives up: %+v", image.Status)
	}
}

func TestRetries(t *testing.T) {
	ns := namespace(t)
	url, _ := serveDisk(t)
	// Every second try of Harvester only meets the backing image of the one before on its way out.
	wrong(t, fault{Kind: "fail", Match: "^" + ns + "/", Times: 1, After: 1 << 20,
		Message: "no space left on device"})
	imageFor(t, ns, url, map[string]any{"spec|retry": int64(2)})
	imageIs(t, ns, "image-a", "has failed once",
		func(i *harvesterv1.VirtualMachineImage) bool { return i.Status.Failed > 0 })
	image := imageIs(t, ns, "image-a", "is imported at the third try", isImported)
	if image.Status.Failed != 2 {
		t.Errorf("%+v", image.Status)
	}
	ns = namespace(t)
	wrong(t, fault{Kind: "fail", Match: "^" + ns + "/", Times: -1, After: 1 << 20,
		Message: "no space left on device"})
	imageFor(t, ns, url, map[string]any{"spec|retry": int64(2)})
	image = imageIs(t, ns, "image-a", "has failed", isExceeded)
	want := "retry attempted 2/2 failed due to error: no space left on device"
	if text := message(image, harvesterv1.ImageRetryLimitExceeded); text != want {
		t.Errorf("%q", text)
	}
	if !conditionIs(image, harvesterv1.ImageImported, corev1.ConditionFalse) {
		t.Errorf("%+v", image.Status.Conditions)
	}
	if err := cluster.Delete(ctx, image); err != nil {
		t.Fatal(err)
	}
	gone(t, &harvesterv1.VirtualMachineImage{}, ns, "image-a")
}

func TestKilledAndStalled(t *testing.T) {
	for name, changes := range map[string]map[string]any{"longhorn": nil, "cdi": asCDI} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := namespace(t)
			url, sum := serveDisk(t)
			wrong(t, fault{Kind: "kill", Match: "^" + ns + "/", After: 2 << 20})
			wrong(t, fault{Kind: "stall", Match: "^" + ns + "/", After: 1 << 20, Seconds: 1.5})
			imageFor(t, ns, url, changes)
			image := imageIs(t, ns, "image-a", "is imported in spite of it", isImported)
			lines, all := exchanges(t, ns, "image-a")
			var gets []exchange
			for i, line := range lines {
				if strings.HasSuffix(line, " GET 200") {
					gets = append(gets, all[i])
				}
			}
			if len(gets) != 2 || gets[0].Error != errKilled.Error() || gets[1].SHA512 != sum {
				t.Errorf("%+v", gets)
			}
			if image.Status.Failed != 0 {
				t.Errorf("a lost pod was counted: %+v", image.Status)
			}
		})
	}
}

func TestWrongChecksum(t *testing.T) {
	ns := namespace(t)
	url, sum := serveDisk(t)
	wrong(t, fault{Kind: "checksum", Match: "^" + ns + "/"})
	imageFor(t, ns, url, nil)
	image := imageIs(t, ns, "image-a", "is imported", isImported)
	backing := get(t, &longhornv1.BackingImage{}, longhornNamespace, "vmi-"+string(image.UID))
	if backing.Status.Checksum == sum || len(backing.Status.Checksum) != len(sum) {
		t.Errorf("%q", backing.Status.Checksum)
	}
}

func TestResolve(t *testing.T) {
	ns := namespace(t)
	url, _ := serveDisk(t)
	address := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/disk.img")
	service := ns + ".harvester-system.svc:8080"
	call(t, http.MethodPut, "/resolve", map[string]string{service: "lease:" + ns + "/leader"}, nil)
	call(t, http.MethodPut, "/holders", map[string]string{"pod-b": address}, nil)
	lease := object(t,
		`{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: leader}, spec: {holderIdentity: pod-b_1}}`, nil)
	lease.SetNamespace(ns)
	create(t, lease)
	imageFor(t, ns, "http://"+service+"/disk.img", nil)
	imageIs(t, ns, "image-a", "is imported from the holder", isImported)
}

func TestMachineFaults(t *testing.T) {
	for kind, status := range map[string]kubevirtv1.VirtualMachinePrintableStatus{
		"unschedulable": kubevirtv1.VirtualMachineStatusUnschedulable,
		"crash":         kubevirtv1.VirtualMachineStatusCrashLoopBackOff,
		"starting":      kubevirtv1.VirtualMachineStatusStarting,
	} {
		t.Run(kind, func(t *testing.T) {
			ns := namespace(t)
			wrong(t, fault{Kind: kind, Match: "^" + ns + "/", Times: -1})
			o := object(t, goodMachine, map[string]any{
				"spec|runStrategy": "RerunOnFailure", "spec|template|spec|networks": []any{},
				"spec|template|spec|domain|devices|interfaces": []any{},
			})
			o.SetNamespace(ns)
			create(t, o)
			machineIs(t, ns, status)
			call(t, http.MethodDelete, "/faults", nil, nil)
			machineIs(t, ns, kubevirtv1.VirtualMachineStatusRunning)
		})
	}
}

func TestGarbage(t *testing.T) {
	ns := namespace(t)
	url, _ := serveDisk(t)
	owner := object(t,
		`{apiVersion: migration.harvesterhci.io/v1beta1, kind: VirtualMachineImport, metadata: {name: web}, spec: {}}`, nil)
	owner.SetNamespace(ns)
	create(t, owner)
	imageFor(t, ns, url, map[string]any{"metadata|ownerReferences": []any{map[string]any{
		"apiVersion": owner.GetAPIVersion(), "kind": owner.GetKind(), "name": "web",
		"uid": string(owner.GetUID()),
	}}})
	image := imageIs(t, ns, "image-a", "is imported", isImported)
	if err := cluster.Delete(ctx, owner); err != nil {
		t.Fatal(err)
	}
	gone(t, &harvesterv1.VirtualMachineImage{}, ns, "image-a")
	gone(t, &longhornv1.BackingImage{}, longhornNamespace, "vmi-"+string(image.UID))
}
