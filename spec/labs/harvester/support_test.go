package main

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	harvesterv1 "github.com/harvester/harvester/pkg/apis/harvesterhci.io/v1beta1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// These tests run against the stand-in that `selftest` has started: they see what a controller sees.

var (
	cluster client.Client
	control = os.Getenv("HARVESTER")
	ctx     = context.Background()
)

func TestMain(m *testing.M) {
	if control == "" {
		fmt.Fprintln(os.Stderr, "run spec/labs/harvester/selftest")
		os.Exit(1)
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err == nil {
		config.QPS = -1
		cluster, err = client.New(config, client.Options{Scheme: newScheme()})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// object reads YAML, with "key: value" replacements of whole dotted paths: nil removes the field.
func object(t *testing.T, text string, changes map[string]any) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	for path, value := range changes {
		set := any(o.Object)
		keys := strings.Split(path, "|")
		for i, key := range keys {
			last := i == len(keys)-1
			switch holder := set.(type) {
			case map[string]any:
				switch {
				case last && value == nil:
					delete(holder, key)
				case last:
					holder[key] = value
				case holder[key] == nil:
					holder[key] = map[string]any{}
				}
				set = holder[key]
			case []any:
				var index int
				fmt.Sscan(key, &index)
				if last {
					holder[index] = value
				}
				set = holder[index]
			}
		}
	}
	return o
}

func namespace(t *testing.T) string {
	t.Helper()
	o := &corev1.Namespace{}
	o.GenerateName = "t-"
	if err := cluster.Create(ctx, o); err != nil {
		t.Fatal(err)
	}
	return o.Name
}

func create(t *testing.T, o client.Object) {
	t.Helper()
	if err := cluster.Create(ctx, o); err != nil {
		t.Fatalf("%s %s was refused: %s", o.GetObjectKind().GroupVersionKind().Kind, o.GetName(),
			err)
	}
}

// refused expects the request to be denied, with these words.
func refused(t *testing.T, err error, words string) {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted; expected: %s", words)
	}
	if !strings.Contains(err.Error(), words) {
		t.Fatalf("refused with %q; expected: %s", err, words)
	}
}

// eventually waits for a state.
func eventually(t *testing.T, what string, state func() (bool, any)) {
	t.Helper()
	var seen any
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(25 * time.Millisecond) {
		var done bool
		if done, seen = state(); done {
			return
		}
	}
	text, _ := json.Marshal(seen)
	t.Fatalf("%s: still %s", what, text)
}

func get[T client.Object](t *testing.T, o T, namespace, name string) T {
	t.Helper()
	if err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, o); err != nil {
		t.Fatal(err)
	}
	return o
}

func gone(t *testing.T, o client.Object, namespace, name string) {
	t.Helper()
	eventually(t, name+" is gone", func() (bool, any) {
		err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, o)
		return apierrors.IsNotFound(err), o
	})
}

func call(t *testing.T, method, path string, send, receive any) {
	t.Helper()
	text, err := json.Marshal(send)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(method, control+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s", method, path, response.Status)
	}
	if receive != nil {
		if err := json.NewDecoder(response.Body).Decode(receive); err != nil {
			t.Fatal(err)
		}
	}
}

func wrong(t *testing.T, f fault) {
	t.Helper()
	call(t, http.MethodPost, "/faults", f, nil)
}

// exchanges of an image, as "PROGRAM METHOD [RANGE] STATUS".
func exchanges(t *testing.T, namespace, name string) ([]string, []exchange) {
	t.Helper()
	var s state
	call(t, http.MethodGet, "/state?image="+namespace+"/"+name, nil, &s)
	var lines []string
	for _, e := range s.Exchanges {
		line := e.By + " " + e.Method
		if ranges := e.Sent.Get("Range"); ranges != "" {
			line += " " + ranges
		}
		lines = append(lines, fmt.Sprintf("%s %d", line, e.Status))
	}
	return lines, s.Exchanges
}

// disk is 5 MiB and a bit, with a hole in it; sum is its SHA-512.
func disk() (data []byte, sum string) {
	data = make([]byte, 5<<20+512)
	for i := 0; i < 1<<20; i++ {
		data[i] = byte(i * 7)
	}
	copy(data[len(data)-512:], bytes.Repeat([]byte("end!"), 128))
	digest := sha512.Sum512(data)
	return data, hex.EncodeToString(digest[:])
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL + "/disk.img"
}

func serveDisk(t *testing.T) (url, sum string) {
	data, sum := disk()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}), sum
}

func imageIs(t *testing.T, namespace, name, what string,
	state func(*harvesterv1.VirtualMachineImage) bool) *harvesterv1.VirtualMachineImage {
	t.Helper()
	var image harvesterv1.VirtualMachineImage
	eventually(t, name+" "+what, func() (bool, any) {
		err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &image)
		return err == nil && state(&image), image.Status
	})
	return &image
}

func isImported(image *harvesterv1.VirtualMachineImage) bool {
	return conditionIs(image, harvesterv1.ImageImported, corev1.ConditionTrue)
}

func isExceeded(image *harvesterv1.VirtualMachineImage) bool {
	return conditionIs(image, harvesterv1.ImageRetryLimitExceeded, corev1.ConditionTrue)
}

func message(image *harvesterv1.VirtualMachineImage, about conditionType) string {
	for _, c := range image.Status.Conditions {
		if c.Type == about {
			return c.Message
		}
	}
	return ""
}
