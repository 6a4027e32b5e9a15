// Harvester's own controllers of VirtualMachineImages and VirtualMachines, and none of its others.
//
// Which server: KUBECONFIG. They act as Harvester's service account does, whose writes its webhook lets pass.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/harvester/harvester/pkg/config"
	"github.com/harvester/harvester/pkg/controller/master/image"
	"github.com/harvester/harvester/pkg/controller/master/virtualmachine"
	"github.com/harvester/harvester/pkg/indexeres"
	indexeresutil "github.com/harvester/harvester/pkg/util/indexeres"
	"github.com/rancher/lasso/pkg/controller"
	"github.com/rancher/wrangler/v3/pkg/generic"
	"github.com/rancher/wrangler/v3/pkg/schemes"
	"github.com/sirupsen/logrus"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	account = "system:serviceaccount:harvester-system:harvester"
	workers = 5
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("KUBECONFIG")); err != nil {
		logrus.Fatal(err)
	}
	<-ctx.Done()
}

func run(ctx context.Context, kubeconfig string) error {
	server, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	server.QPS, server.Burst = 100, 200
	server.Impersonate = rest.ImpersonationConfig{UserName: account, Groups: []string{"system:masters"}}
	if err := scheme.AddToScheme(schemes.All); err != nil {
		return err
	}
	factory, err := controller.NewSharedControllerFactoryFromConfig(server, schemes.All)
	if err != nil {
		return err
	}
	ctx, scaled, err := config.SetupScaled(ctx, server,
		&generic.FactoryOptions{SharedControllerFactory: factory})
	if err != nil {
		return err
	}
	return start(ctx, scaled.Management)
}

// start registers the two after the indexes that they look things up in, which others of Harvester add.
func start(ctx context.Context, management *config.Management) error {
	management.CoreFactory.Core().V1().Pod().Cache().AddIndexer(indexeresutil.PodByVMNameIndex,
		indexeresutil.PodByVMName)
	backups := management.HarvesterFactory.Harvesterhci().V1beta1().VirtualMachineBackup().Cache()
	backups.AddIndexer(indexeres.VMBackupBySourceVMNameIndex, indexeres.VMBackupBySourceVMName)
	machines := management.VirtFactory.Kubevirt().V1().VirtualMachine().Cache()
	machines.AddIndexer(indexeresutil.VMByPVCIndex, indexeresutil.VMByPVC)
	machines.AddIndexer(indexeresutil.VMByNonShareablePVCIndex, indexeresutil.VMByNonShareablePVC)
	if err := image.Register(ctx, management, config.Options{}); err != nil {
		return err
	}
	if err := virtualmachine.Register(ctx, management, config.Options{}); err != nil {
		return err
	}
	return management.Start(workers)
}
