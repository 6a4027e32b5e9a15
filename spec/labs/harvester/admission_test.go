package main

import (
	"testing"

	harvesterv1 "github.com/harvester/harvester/pkg/apis/harvesterhci.io/v1beta1"
	corev1 "k8s.io/api/core/v1"
	kubevirtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const goodImage = `
apiVersion: harvesterhci.io/v1beta1
kind: VirtualMachineImage
metadata: {name: image-a, annotations: {harvesterhci.io/storageClassName: harvester-longhorn}}
spec: {backend: backingimage, displayName: web-disk-0, sourceType: download, url: "http://127.0.0.1:1/disk.img", retry: 0}
`

const goodMachine = `
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata:
  name: vm
  labels: {harvesterhci.io/os: linux, migration.harvesterhci.io/imported: "true"}
  annotations:
    harvesterhci.io/volumeClaimTemplates: '[{"metadata":{"name":"d0"},"spec":{"accessModes":["ReadWriteMany"],"volumeMode":"Block","storageClassName":"harvester-longhorn","resources":{"requests":{"storage":"1Gi"}}}}]'
spec:
  runStrategy: Halted
  template:
    metadata: {labels: {harvesterhci.io/vmName: vm}}
    spec:
      evictionStrategy: LiveMigrateIfPossible
      domain:
        cpu: {sockets: 1, cores: 2}
        features: {acpi: {enabled: true}, smm: {enabled: true}}
        firmware: {bootloader: {efi: {secureBoot: true}}}
        machine: {type: q35}
        resources: {limits: {cpu: "2", memory: 2Gi}}
        devices:
          inputs: [{name: tablet, type: tablet, bus: usb}]
          disks: [{name: d0, bootOrder: 1, disk: {bus: sata}}]
          interfaces:
          - {name: migrated-0, bridge: {}, model: virtio, macAddress: "00:50:56:00:00:01"}
          - {name: pod-network, masquerade: {}, model: virtio, macAddress: "00:50:56:00:00:02"}
      networks:
      - {name: migrated-0, multus: {networkName: default/standin}}
      - {name: pod-network, pod: {}}
      volumes: [{name: d0, persistentVolumeClaim: {claimName: d0}}]
`

const network1 = `
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: standin, namespace: default, labels: {network.harvesterhci.io/clusternetwork: mgmt}}
spec: {config: '{"cniVersion":"0.3.1","name":"standin","type":"bridge","bridge":"mgmt-br","vlan":1}'}
`

const claim1 = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: c}
spec: {accessModes: [ReadWriteMany], volumeMode: Block, storageClassName: harvester-longhorn, resources: {requests: {storage: 1Gi}}}
`

// A case is one thing wrong with a good object, and the words of its refusal.
type badCase struct {
	name    string
	changes map[string]any
	words   string
}

func attempt(t *testing.T, good, in string, cases []badCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := object(t, good, c.changes)
			o.SetNamespace(in)
			refused(t, cluster.Create(ctx, o, client.DryRunAll), c.words)
		})
	}
}

func TestImageIsFilledIn(t *testing.T) {
	ns := namespace(t)
	o := object(t, goodImage, map[string]any{"metadata|annotations": nil, "spec|backend": nil})
	o.SetNamespace(ns)
	create(t, o)
	image := get(t, &harvesterv1.VirtualMachineImage{}, ns, "image-a")
	if image.Spec.TargetStorageClassName != "harvester-longhorn" || image.Annotations[annotationStorageClass] != "harvester-longhorn" {
		t.Errorf("class %q, annotation %q", image.Spec.TargetStorageClassName,
			image.Annotations[annotationStorageClass])
	}
	if image.Spec.Backend != "backingimage" || image.Spec.StorageClassParameters["numberOfReplicas"] != "3" {
		t.Errorf("backend %q, parameters %v", image.Spec.Backend, image.Spec.StorageClassParameters)
	}
}

func TestBadImages(t *testing.T) {
	ns := namespace(t)
	good := object(t, goodImage, nil)
	good.SetNamespace(ns)
	create(t, good)
	rename := func(more map[string]any) map[string]any {
		changes := map[string]any{"metadata|name": "image-b", "spec|displayName": "other"}
		for key, value := range more {
			changes[key] = value
		}
		return changes
	}
	attempt(t, goodImage, ns, []badCase{
		{"same display name", map[string]any{"metadata|name": "image-b"}, "same name exists"},
		{"the same image again", nil, "same name exists"},
		{"no display name", rename(map[string]any{"spec|displayName": ""}),
			"displayName is required"},
		{"a display name that is no label", rename(map[string]any{"spec|displayName": "a/b"}),
			"cannot be a label"},
		{"no url", rename(map[string]any{"spec|url": ""}), "url is required"},
		{"a broken url", rename(map[string]any{"spec|url": "http://[::"}), "url is invalid"},
		{"two storage classes", rename(map[string]any{"spec|targetStorageClassName": "lvm"}),
			"should keep the consistency"},
		{"an unknown class", rename(map[string]any{"metadata|annotations": nil,
			"spec|targetStorageClassName": "nope", "spec|backend": "cdi"}),
			"storage class nope not found"},
		{"a class of another engine",
			rename(map[string]any{"metadata|annotations|harvesterhci.io/storageClassName": "longhorn-v2"}), "does not fit storage class longhorn-v2"},
		{"cdi for Longhorn's v1", rename(map[string]any{"spec|backend": "cdi"}), "does not fit storage class harvester-longhorn"},
		{"a checksum for cdi", rename(map[string]any{"spec|backend": "cdi", "spec|checksum": "00",
			"metadata|annotations|harvesterhci.io/storageClassName": "lvm"}),
			"checksum has no effect"},
		{"an unknown backend", rename(map[string]any{"spec|backend": "nfs"}), "Unsupported value"},
		{"too many retries", rename(map[string]any{"spec|retry": int64(11)}),
			"should be less than or equal to 10"},
		{"a misspelt field", rename(map[string]any{"spec|urls": "x"}), `unknown field "spec.urls"`},
	})
	for field, value := range map[string]string{"url": "http://127.0.0.1:2/", "displayName": "x", "targetStorageClassName": "lvm"} {
		patch := client.RawPatch("application/merge-patch+json",
			[]byte(`{"spec":{"`+field+`":"`+value+`"}}`))
		refused(t, cluster.Patch(ctx, good.DeepCopy(), patch), "cannot be modified")
	}
}

func TestImageNamesAtOnce(t *testing.T) {
	ns := namespace(t)
	results := make(chan error, 8)
	for i := range 8 {
		o := object(t, goodImage, map[string]any{"metadata|name": "image-" + string(rune('a'+i))})
		o.SetNamespace(ns)
		go func() { results <- cluster.Create(ctx, o) }()
	}
	accepted := 0
	for range 8 {
		if <-results == nil {
			accepted++
		}
	}
	if accepted != 1 {
		t.Errorf("%d of 8 images of one display name were accepted", accepted)
	}
}

func TestGoodMachine(t *testing.T) {
	_ = cluster.Create(ctx, object(t, network1, nil))
	ns := namespace(t)
	o := object(t, goodMachine, nil)
	o.SetNamespace(ns)
	create(t, o)
	t.Cleanup(func() {
		_ = cluster.Delete(ctx, o)
		gone(t, &kubevirtv1.VirtualMachine{}, ns, "vm") // and its MACs
	})
	machine := get(t, &kubevirtv1.VirtualMachine{}, ns, "vm")
	spec := machine.Spec.Template.Spec
	if spec.Domain.CPU.MaxSockets != 1 || spec.Domain.Memory.Guest.String() != "2Gi" || *spec.TerminationGracePeriodSeconds != 120 {
		t.Errorf("%+v %+v %d", spec.Domain.CPU, spec.Domain.Memory,
			*spec.TerminationGracePeriodSeconds)
	}
	if request := spec.Domain.Resources.Requests[corev1.ResourceMemory]; request.String() != "1365Mi" {
		t.Errorf("requests %s of memory", request.String())
	}
	if spec.Affinity == nil || spec.Domain.Firmware.UUID == "" {
		t.Error("not pinned to its cluster network, or without UUID")
	}
	eventually(t, "vm is stopped", func() (bool, any) {
		machine := get(t, &kubevirtv1.VirtualMachine{}, ns, "vm")
		return machine.Status.PrintableStatus == kubevirtv1.VirtualMachineStatusStopped,
			machine.Status
	})
	get(t, &corev1.PersistentVolumeClaim{}, ns, "d0") // made from the annotation
	t.Run("the same MAC again", func(t *testing.T) {
		other := object(t, goodMachine, map[string]any{"metadata|name": "vm2"})
		other.SetNamespace(namespace(t))
		refused(t, cluster.Create(ctx, other),
			"duplicate mac address present for vm vm2 for cluster network mgmt")
	})
	t.Run("a claim that another has", func(t *testing.T) {
		other := object(t, goodMachine, map[string]any{"metadata|name": "vm2"})
		other.SetNamespace(ns)
		refused(t, cluster.Create(ctx, other), "already used by other VM")
	})
	t.Run("deleting a claim in use", func(t *testing.T) {
		refused(t, cluster.Delete(ctx, get(t, &corev1.PersistentVolumeClaim{}, ns, "d0")),
			"currently attached to VM")
	})
}

func TestBadMachines(t *testing.T) {
	_ = cluster.Create(ctx, object(t, network1, nil))
	const domain = "spec|template|spec|domain|"
	disk := func(name string) map[string]any {
		return map[string]any{"name": name, "disk": map[string]any{"bus": "sata"}}
	}
	ordered := func(name string, order int64) map[string]any {
		d := disk(name)
		d["bootOrder"] = order
		return d
	}
	twoVolumes := []any{
		map[string]any{"name": "d0", "persistentVolumeClaim": map[string]any{"claimName": "d0"}},
		map[string]any{"name": "d1", "persistentVolumeClaim": map[string]any{"claimName": "d1"}},
	}
	attempt(t, goodMachine, namespace(t), []badCase{
		{"a misspelt field", map[string]any{domain + "devices|disks|0|bootorder": int64(1)},
			"bootorder in body is a forbidden property"},
		{"a number as text", map[string]any{domain + "cpu|cores": "2"}, "must be of type integer"},
		{"no template", map[string]any{"spec|template": nil}, "template"},
		{"an unknown run strategy", map[string]any{"spec|runStrategy": "Sometimes"},
			"Invalid RunStrategy (Sometimes)"},
		{"both running and runStrategy", map[string]any{"spec|running": true},
			"mutually exclusive"},
		{"a disk without a volume", map[string]any{domain + "devices|disks": []any{ordered("d0", 1),
			disk("d1")}}, "d1"},
		{"two disks of a name", map[string]any{domain + "devices|disks": []any{ordered("d0", 1),
			disk("d0")}}, "must not have the same Name"},
		{"an unknown bus", map[string]any{domain + "devices|disks|0|disk|bus": "ide"},
			"IDE bus is not supported"},
		{"boot order 0", map[string]any{domain + "devices|disks|0|bootOrder": int64(0)},
			"bootOrder"},
		{"a boot order twice", map[string]any{domain + "devices|disks": []any{ordered("d0", 1),
			ordered("d1", 1)}, "spec|template|spec|volumes": twoVolumes}, "Boot order"},
		{"a serial that is too long",
			map[string]any{domain + "devices|disks|0|serial": longText(257)}, "serial"},
		{"more sockets than 1.8.0 lets be", map[string]any{domain + "cpu|sockets": int64(2)},
			"Number of sockets in CPU topology is greater than the maximum sockets allowed"},
		{"secure boot without SMM", map[string]any{domain + "features|smm": nil}, "SecureBoot"},
		{"EFI and BIOS", map[string]any{domain + "firmware|bootloader|bios": map[string]any{}},
			"BIOS"},
		{"two pod networks",
			map[string]any{"spec|template|spec|networks|0": map[string]any{"name": "migrated-0",
				"pod": map[string]any{}}}, "pod network"},
		{"an interface without a network",
			map[string]any{"spec|template|spec|networks": []any{map[string]any{"name": "pod-network", "pod": map[string]any{}}}}, "migrated-0"},
		{"an unknown NIC model", map[string]any{domain + "devices|interfaces|0|model": "vmxnet3"},
			"vmxnet3"},
		{"a broken MAC", map[string]any{domain + "devices|interfaces|0|macAddress": "00:50"},
			"MAC"},
		{"a network that is not there",
			map[string]any{"spec|template|spec|networks|0|multus|networkName": "default/nope"},
			`"nope" not found`},
		{"no memory", map[string]any{domain + "resources": map[string]any{}}, "memory"},
		{"too little memory", map[string]any{domain + "resources|limits|memory": "1Mi"},
			"minimum requirement"},
		{"claim templates that are no JSON",
			map[string]any{"metadata|annotations|harvesterhci.io/volumeClaimTemplates": "[{"},
			"volumeClaimTemplates annotation is invalid"},
		{"claim templates without a name",
			map[string]any{"metadata|annotations|harvesterhci.io/volumeClaimTemplates": `[{"spec":{}}]`}, "PVC name is required"},
		{"claim templates with a misspelt field",
			map[string]any{"metadata|annotations|harvesterhci.io/volumeClaimTemplates": `[{"metadata":{"name":"a"},"specs":{}}]`}, "unknown field"},
		{"an unknown maintenance strategy",
			map[string]any{"metadata|labels|harvesterhci.io/maintain-mode-strategy": "Hope"},
			"invalid maintenance mode strategy"},
		{"a negative grace period",
			map[string]any{"spec|template|spec|terminationGracePeriodSeconds": int64(-1)},
			"can't be negative"},
		{"reserved memory above the limit",
			map[string]any{"metadata|annotations|harvesterhci.io/reservedMemory": "3Gi"},
			"reservedMemory"},
		{"cloud-init that is too long", map[string]any{
			domain + "devices|disks": []any{ordered("d0", 1), disk("ci")},
			"spec|template|spec|volumes": []any{twoVolumes[0], map[string]any{"name": "ci",
				"cloudInitNoCloud": map[string]any{"userData": longText(2049)}}},
		}, "2048"},
		{"a host name that is none", map[string]any{"spec|template|spec|hostname": "Not_A_Label"},
			"hostname"},
	})
}

func longText(n int) string {
	text := make([]byte, n)
	for i := range text {
		text[i] = 'x'
	}
	return string(text)
}

func TestRejectOnDemand(t *testing.T) {
	ns := namespace(t)
	wrong(t, fault{Kind: "reject", Match: "PersistentVolumeClaim " + ns + "/",
		Message: "quota exceeded"})
	o := object(t, claim1, nil)
	o.SetNamespace(ns)
	refused(t, cluster.Create(ctx, o.DeepCopy()), "quota exceeded")
	create(t, o)
}

func TestBadClaim(t *testing.T) {
	attempt(t, claim1, namespace(t), []badCase{
		{"a reserved class", map[string]any{"spec|storageClassName": "vmstate-persistence"},
			"reserved storage class"},
	})
}
