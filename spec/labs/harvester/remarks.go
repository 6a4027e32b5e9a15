package main

import (
	"slices"

	kubevirtv1 "kubevirt.io/api/core/v1"
)

// What a machine made in Harvester's UI has, and Harvester misses without refusing.
// Source: the UI's mixins/harvester-vm.

func (s *standin) remarksOn(machine *kubevirtv1.VirtualMachine) []remark {
	var list []remark
	say := func(missing bool, message string) {
		if missing {
			list = append(list, remark{"VirtualMachine", machine.Namespace + "/" + machine.Name,
				message})
		}
	}
	template := machine.Spec.Template
	if template == nil {
		return nil
	}
	devices := template.Spec.Domain.Devices
	tablet := slices.ContainsFunc(devices.Inputs,
		func(i kubevirtv1.Input) bool { return i.Type == "tablet" })
	say(machine.Annotations[annotationClaims] == "",
		"no annotation "+annotationClaims+": volumes are shown as existing ones and cannot be resized")
	say(machine.Labels["harvesterhci.io/os"] == "",
		"no label harvesterhci.io/os: Windows is taken for Linux")
	say(machine.Labels["harvesterhci.io/creator"] == "", "no label harvesterhci.io/creator")
	say(template.ObjectMeta.Labels["harvesterhci.io/vmName"] != machine.Name,
		"no label harvesterhci.io/vmName on the template")
	say(machine.Annotations["network.harvesterhci.io/ips"] == "",
		"no annotation network.harvesterhci.io/ips")
	say(template.ObjectMeta.Annotations["harvesterhci.io/sshNames"] == "",
		"no annotation harvesterhci.io/sshNames on the template")
	say(!tablet, "no USB tablet: the console's mouse is off")
	say(template.Spec.EvictionStrategy == nil, "no evictionStrategy: a drained node stops it")
	say(template.Spec.Domain.Resources.Limits.Memory().IsZero(),
		"no resources.limits.memory: neither overcommit nor quota apply")
	say(machine.Labels[labelImported] != "true", "no label "+labelImported)
	return list
}
