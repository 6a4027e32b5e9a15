package main

import (
	"context"
	_ "embed"
	"errors"
	"io"
	"strings"

	extensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

//go:embed world.yaml
var world string

// makeWorld creates what is in world.yaml and not there.
func (s *standin) makeWorld(ctx context.Context) error {
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(world), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := s.client.Create(ctx, object); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
}

// The kinds whose objects are decoded strictly.
var judged = []string{
	"virtualmachines.kubevirt.io", "virtualmachineimages.harvesterhci.io",
	"datavolumes.cdi.kubevirt.io",
}

// openSchemas makes the API server keep fields that a kind does not have. It would drop them with no more
// than a warning, and a misspelt field would go unseen; this way it comes to the webhook, which refuses it.
func (s *standin) openSchemas(ctx context.Context) error {
	for _, name := range judged {
		var definition extensionsv1.CustomResourceDefinition
		if err := s.client.Get(ctx, client.ObjectKey{Name: name}, &definition); err != nil {
			return err
		}
		err := s.change(ctx, &definition, func() {
			for i := range definition.Spec.Versions {
				root := definition.Spec.Versions[i].Schema.OpenAPIV3Schema
				for _, part := range []string{"spec", "status"} {
					if schema, found := root.Properties[part]; found {
						keepUnknown(&schema)
						root.Properties[part] = schema
					}
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func keepUnknown(schema *extensionsv1.JSONSchemaProps) {
	if schema.Type == "object" && schema.AdditionalProperties == nil && !schema.XEmbeddedResource {
		schema.XPreserveUnknownFields = ptr.To(true)
	}
	for name, property := range schema.Properties {
		keepUnknown(&property)
		schema.Properties[name] = property
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		keepUnknown(schema.Items.Schema)
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
		keepUnknown(schema.AdditionalProperties.Schema)
	}
}
