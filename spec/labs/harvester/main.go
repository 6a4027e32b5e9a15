// The strict stand-in for Harvester: see README.md.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	harvesterv1 "github.com/harvester/harvester/pkg/apis/harvesterhci.io/v1beta1"
	longhornv1 "github.com/longhorn/longhorn-manager/k8s/pkg/apis/longhorn/v1beta2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	kubevirtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func main() {
	log.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, parseOptions()); err != nil {
		fmt.Fprintln(os.Stderr, "harvester stand-in:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return err
	}
	config.QPS = -1 // it plays many programs, each with an allowance of its own
	config.Impersonate = rest.ImpersonationConfig{UserName: harvesterUser,
		Groups: []string{"system:masters"}}
	m, err := manager.New(config, manager.Options{
		Scheme: newScheme(), Metrics: metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: "0",
	})
	if err != nil {
		return err
	}
	s, err := newStandin(ctx, o, config, m)
	if err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := s.watch(m); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- m.Start(ctx) }()
	if !m.GetCache().WaitForCacheSync(ctx) {
		return <-failed
	}
	url, ca, err := s.serveWebhooks()
	if err != nil {
		return err
	}
	objects := configurations(url, ca)
	if o.real {
		objects = othersOf(objects)
	}
	if err := s.register(ctx, objects); err != nil {
		return err
	}
	defer func() {
		last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.unregister(last, objects)
	}()
	if o.collect {
		go s.collectGarbage(ctx)
	}
	if err := s.serveControl(ctx); err != nil {
		return err
	}
	return <-failed
}

func newStandin(ctx context.Context, o options, config *rest.Config, m manager.Manager) (*standin,
	error) {
	direct, err := client.New(config, client.Options{Scheme: m.GetScheme()})
	if err != nil {
		return nil, err
	}
	collector := rest.CopyConfig(config)
	collector.Impersonate.UserName = collectorUser
	garbage, err := client.New(collector, client.Options{Scheme: m.GetScheme()})
	if err != nil {
		return nil, err
	}
	kubevirt, err := newKubeVirtConfig()
	if err != nil {
		return nil, err
	}
	return &standin{
		options: o, context: ctx, client: direct, cache: m.GetCache(), garbage: garbage,
		faults: &faults{}, journal: &journal{}, network: newNetwork(o.resolve, direct),
		pods:    &pods{running: map[types.UID]context.CancelFunc{}},
		counted: &set{members: map[string]bool{}},
		recent:  &recent{owners: map[string]recentOwner{}}, kubevirt: kubevirt,
	}, nil
}

func (s *standin) prepare(ctx context.Context) error {
	if s.options.world {
		if err := s.makeWorld(ctx); err != nil {
			return err
		}
	}
	return s.openSchemas(ctx)
}

// watch connects the reconcilers. A machine is looked at again when its instance or a claim changes, a
// claim when its DataVolume or a backing image does: those that wait ask again by themselves.
func (s *standin) watch(m manager.Manager) error {
	parallel := controller.Options{MaxConcurrentReconciles: 8}
	same := &handler.EnqueueRequestForObject{}
	for name, build := range map[string]func(*builder.Builder) *builder.Builder{
		"image":  func(b *builder.Builder) *builder.Builder { return b.For(&harvesterv1.VirtualMachineImage{}) },
		"claim":  func(b *builder.Builder) *builder.Builder { return b.For(&corev1.PersistentVolumeClaim{}) },
		"volume": func(b *builder.Builder) *builder.Builder { return b.For(&cdiv1.DataVolume{}) },
		"backing": func(b *builder.Builder) *builder.Builder {
			return b.For(&longhornv1.BackingImage{})
		},
		"machine": func(b *builder.Builder) *builder.Builder {
			return b.For(&kubevirtv1.VirtualMachine{}).Watches(&kubevirtv1.VirtualMachineInstance{},
				same)
		},
	} {
		reconcilers := map[string]reconcile.Func{
			"image": s.reconcileImage, "claim": s.reconcileClaim, "volume": s.reconcileVolume,
			"backing": s.reconcileBacking, "machine": s.reconcileMachine,
		}
		if s.options.real && name == "image" {
			continue
		}
		b := builder.ControllerManagedBy(m).Named(name).WithOptions(parallel)
		if err := build(b).Complete(reconcilers[name]); err != nil {
			return err
		}
	}
	return nil
}

// serveControl prints the line that says it is ready, with the control API's URL.
func (s *standin) serveControl(ctx context.Context) error {
	listener, err := net.Listen("tcp", s.options.listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s.controlAPI(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	go func() { _ = server.Serve(listener) }()
	fmt.Printf("CONTROL=http://%s\n", listener.Addr())
	return nil
}
