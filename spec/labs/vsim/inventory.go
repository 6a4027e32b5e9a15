package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/simulator/vpx"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

// Where all of an ESXi host is.
const esxiDatacenter = "ha-datacenter"

// network is what a NIC of a datacenter can be connected to.
type network struct {
	reference types.ManagedObjectReference
	backing   types.BaseVirtualDeviceBackingInfo
	summary   string // of a NIC on it
}

// site is a datacenter while it is being built.
type site struct {
	spec      *datacenterSpec
	folders   *object.DatacenterFolders
	pool      *object.ResourcePool
	host      *object.HostSystem
	datastore string
	networks  map[string]*network
	vmFolders map[string]*object.Folder // by escaped path
}

// build fills the simulator; work is where its datastores' folders go.
func (s *server) build(plan *scenario, work string) error {
	content, root := vpx.ServiceContent, vpx.RootFolder
	s.nfcPath = "/nfc/"
	if plan.Kind == "esxi" {
		content, root = esx.ServiceContent, esx.RootFolder
		s.nfcPath = "/ha-nfc/"
	}
	release := strings.Split(plan.APIVersion, ".")
	if len(release) > 3 {
		release = release[:3]
	}
	content.About.ApiVersion, content.About.Build = plan.APIVersion, "1"
	content.About.Version = strings.Join(release, ".")
	content.About.FullName = content.About.Name + " " + content.About.Version + " (vsim)"
	s.apiVersion, s.sessionManager = plan.APIVersion, *content.SessionManager
	model := &simulator.Model{ServiceContent: content, RootFolder: root}
	if err := model.Create(); err != nil {
		return err
	}
	inner := model.Service.NewServer()
	s.simulator = inner.Config.Handler
	inner.Close() // its port; requests reach the handler through ours

	ctx := context.Background()
	client, err := vim25.NewClient(ctx, model.Service)
	if err != nil {
		return err
	}
	for i := range plan.Datacenters {
		spec := &plan.Datacenters[i]
		dir := filepath.Join(work, fmt.Sprint(i))
		if err = os.MkdirAll(dir, 0700); err != nil {
			return err
		}
		if err = s.buildDatacenter(ctx, client, spec, i, dir); err != nil {
			return fmt.Errorf("datacenter %s: %w", spec.Path, err)
		}
	}
	return nil
}

func (s *server) buildDatacenter(ctx context.Context, client *vim25.Client,
	spec *datacenterSpec, index int, dir string) error {
	at := &site{spec: spec, datastore: spec.Datastore, networks: map[string]*network{},
		vmFolders: map[string]*object.Folder{}}
	if at.datastore == "" {
		at.datastore = "datastore1"
	}
	dc, err := findOrMakeDatacenter(ctx, client, spec.Path)
	if err != nil {
		return err
	}
	if at.folders, err = dc.Folders(ctx); err != nil {
		return err
	}
	at.vmFolders[""] = at.folders.VmFolder
	if err = at.buildHost(ctx, client, index); err != nil {
		return err
	}
	system, err := at.host.ConfigManager().DatastoreSystem(ctx)
	if err != nil {
		return err
	}
	if _, err = system.CreateLocalDatastore(ctx, at.datastore, dir); err != nil {
		return err
	}
	if err = at.buildNetworks(ctx, client); err != nil {
		return err
	}
	for _, folder := range spec.Folders {
		if _, err = at.folder(ctx, folder); err != nil {
			return err
		}
	}
	for i := range spec.Machines {
		if err = s.buildMachine(ctx, client, at, &spec.Machines[i]); err != nil {
			return fmt.Errorf("machine %s: %w", spec.Machines[i].Name, err)
		}
	}
	return nil
}

func findOrMakeDatacenter(ctx context.Context, client *vim25.Client,
	path string) (*object.Datacenter, error) {
	if path == esxiDatacenter && !client.IsVC() {
		return object.NewDatacenter(client, esx.Datacenter.Self), nil
	}
	parent := object.NewRootFolder(client)
	names := strings.Split(path, "/")
	for i, name := range names[:len(names)-1] {
		above := "/" + strings.Join(names[:i+1], "/")
		found, err := object.NewSearchIndex(client).FindByInventoryPath(ctx, above)
		if err != nil {
			return nil, err
		}
		if found != nil {
			parent = found.(*object.Folder)
		} else if parent, err = parent.CreateFolder(ctx, name); err != nil {
			return nil, err
		}
	}
	return parent.CreateDatacenter(ctx, names[len(names)-1])
}

// buildHost makes a cluster of one host, or finds the host that ESXi is.
func (at *site) buildHost(ctx context.Context, client *vim25.Client, index int) error {
	var err error
	if !client.IsVC() {
		at.host = object.NewHostSystem(client, esx.HostSystem.Self)
		at.pool, err = at.host.ResourcePool(ctx)
		return err
	}
	cluster, err := at.folders.HostFolder.CreateCluster(ctx,
		fmt.Sprintf("Cluster%d", index), types.ClusterConfigSpecEx{})
	if err != nil {
		return err
	}
	task, err := cluster.AddHost(ctx,
		types.HostConnectSpec{HostName: fmt.Sprintf("esx-%d.vsim.test", index)}, true, nil, nil)
	if err != nil {
		return err
	}
	info, err := task.WaitForResult(ctx, nil)
	if err != nil {
		return err
	}
	at.host = object.NewHostSystem(client, info.Result.(types.ManagedObjectReference))
	at.pool, err = cluster.ResourcePool(ctx)
	return err
}

func (at *site) buildNetworks(ctx context.Context, client *vim25.Client) error {
	switches := map[string]*object.DistributedVirtualSwitch{}
	specs := append([]networkSpec{{Name: "VM Network"}}, at.spec.Networks...)
	for _, spec := range specs {
		if at.networks[spec.Name] != nil {
			continue
		}
		var err error
		switch spec.Kind {
		case "", "standard":
			err = at.standardNetwork(ctx, spec.Name)
		case "distributed":
			err = at.distributedNetwork(ctx, client, spec, switches)
		case "opaque":
			err = at.opaqueNetwork(spec.Name)
		default:
			err = fmt.Errorf("unknown kind %q", spec.Kind)
		}
		if err != nil {
			return fmt.Errorf("network %s: %w", spec.Name, err)
		}
	}
	return nil
}

// networkNamed is the network of that name as it stands in the inventory.
func (at *site) networkNamed(name string) types.ManagedObjectReference {
	folder := simulator.Map.Get(at.folders.NetworkFolder.Reference()).(*simulator.Folder)
	return simulator.Map.FindByName(escapeName(name), folder.ChildEntity).Reference()
}

func (at *site) standardNetwork(ctx context.Context, name string) error {
	if name != "VM Network" { // which every datacenter has
		system, err := at.host.ConfigManager().NetworkSystem(ctx)
		if err != nil {
			return err
		}
		err = system.AddPortGroup(ctx,
			types.HostPortGroupSpec{Name: escapeName(name), VswitchName: "vSwitch0"})
		if err != nil {
			return err
		}
	}
	ref := at.networkNamed(name)
	backing := &types.VirtualEthernetCardNetworkBackingInfo{Network: &ref}
	backing.DeviceName = name
	at.networks[name] = &network{ref, backing, name}
	return nil
}

func (at *site) distributedNetwork(ctx context.Context, client *vim25.Client,
	spec networkSpec, switches map[string]*object.DistributedVirtualSwitch) error {
	if spec.Switch == "" {
		spec.Switch = "DSwitch"
	}
	dvs := switches[spec.Switch]
	if dvs == nil {
		made, err := at.buildSwitch(ctx, client, spec.Switch)
		if err != nil {
			return err
		}
		dvs, switches[spec.Switch] = made, made
	}
	task, err := dvs.AddPortgroup(ctx,
		[]types.DVPortgroupConfigSpec{{Name: escapeName(spec.Name), Type: "earlyBinding"}})
	if err != nil {
		return err
	}
	if err = task.Wait(ctx); err != nil {
		return err
	}
	ref := at.networkNamed(spec.Name)
	backing, err := object.NewDistributedVirtualPortgroup(client, ref).
		EthernetCardBackingInfo(ctx)
	if err != nil {
		return err
	}
	port := &backing.(*types.VirtualEthernetCardDistributedVirtualPortBackingInfo).Port
	port.PortKey, port.ConnectionCookie = "12", 1443217461
	at.networks[spec.Name] = &network{ref, backing, "DVSwitch: " + port.SwitchUuid}
	return nil
}

func (at *site) buildSwitch(ctx context.Context, client *vim25.Client,
	name string) (*object.DistributedVirtualSwitch, error) {
	spec := types.DVSCreateSpec{ConfigSpec: &types.VMwareDVSConfigSpec{}}
	spec.ConfigSpec.GetDVSConfigSpec().Name = escapeName(name)
	task, err := at.folders.NetworkFolder.CreateDVS(ctx, spec)
	if err != nil {
		return nil, err
	}
	info, err := task.WaitForResult(ctx, nil)
	if err != nil {
		return nil, err
	}
	dvs := object.NewDistributedVirtualSwitch(client,
		info.Result.(types.ManagedObjectReference))
	task, err = dvs.Reconfigure(ctx, &types.DVSConfigSpec{
		Host: []types.DistributedVirtualSwitchHostMemberConfigSpec{{
			Operation: string(types.ConfigSpecOperationAdd), Host: at.host.Reference()}}})
	if err != nil {
		return nil, err
	}
	return dvs, task.Wait(ctx)
}

func (at *site) opaqueNetwork(name string) error {
	folder := simulator.Map.Get(at.folders.NetworkFolder.Reference()).(*simulator.Folder)
	summary := types.OpaqueNetworkSummary{
		OpaqueNetworkId:   uuid.NewSHA1(uuid.NameSpaceDNS, []byte(name)).String(),
		OpaqueNetworkType: "nsx.LogicalSwitch",
	}
	summary.Name = escapeName(name)
	if err := folder.AddOpaqueNetwork(summary); err != nil {
		return err
	}
	backing := &types.VirtualEthernetCardOpaqueNetworkBackingInfo{
		OpaqueNetworkId:   summary.OpaqueNetworkId,
		OpaqueNetworkType: summary.OpaqueNetworkType,
	}
	at.networks[name] = &network{at.networkNamed(name), backing,
		summary.OpaqueNetworkType + ": " + summary.OpaqueNetworkId}
	return nil
}

// folder finds or makes a VM folder.
func (at *site) folder(ctx context.Context, path string) (*object.Folder, error) {
	if found := at.vmFolders[path]; found != nil {
		return found, nil
	}
	cut := strings.LastIndex(path, "/")
	parent := ""
	if cut >= 0 {
		parent = path[:cut]
	}
	above, err := at.folder(ctx, parent)
	if err != nil {
		return nil, err
	}
	made, err := above.CreateFolder(ctx, path[cut+1:])
	at.vmFolders[path] = made
	return made, err
}
