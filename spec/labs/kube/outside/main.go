// Prints the CustomResourceDefinitions that KubeVirt's operator would install: its module has them as Go
// code and not as YAML.
package main

import (
	"fmt"
	"log"

	"kubevirt.io/kubevirt/pkg/virt-operator/resource/generate/components"
	"sigs.k8s.io/yaml"
)

func main() {
	machine, err := components.NewVirtualMachineCrd()
	if err != nil {
		log.Fatal(err)
	}
	instance, err := components.NewVirtualMachineInstanceCrd()
	if err != nil {
		log.Fatal(err)
	}
	for _, definition := range []any{machine, instance} {
		text, err := yaml.Marshal(definition)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("---\n%s", text)
	}
}
