package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	jsonpatch "github.com/evanphx/json-patch"
	harvesterv1 "github.com/harvester/harvester/pkg/apis/harvesterhci.io/v1beta1"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubevirtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	strictjson "sigs.k8s.io/json"
)

// A ruling is one webhook's part in one kind: what it changes, and what it refuses. Any may be nil.
type ruling struct {
	schema func(raw []byte) error
	decode func(raw []byte) (client.Object, error)
	mutate func(ctx context.Context, object client.Object, create bool) error
	create func(ctx context.Context, object client.Object) error
	update func(ctx context.Context, before, after client.Object) error
	remove func(ctx context.Context, object client.Object) error
}

// dryRun marks the context of a request that changes nothing.
type dryRun struct{}

// decodeAs reads an object of a kind; strictly: a field that the kind's Go type does not have is refused.
func decodeAs[T any](raw []byte) (client.Object, error) {
	object := any(new(T)).(client.Object)
	unknown, err := strictjson.UnmarshalStrict(raw, object)
	if err == nil && len(unknown) > 0 {
		err = errors.Join(unknown...)
	}
	if err != nil {
		return nil, invalid("", "strict decoding error: %s", err)
	}
	return object, nil
}

// rulings by the path that the API server calls.
func (s *standin) rulings() map[string]ruling {
	decodeImage := decodeAs[harvesterv1.VirtualMachineImage]
	decodeMachine := decodeAs[kubevirtv1.VirtualMachine]
	decodeClaim := decodeAs[corev1.PersistentVolumeClaim]
	decodeVolume := decodeAs[cdiv1.DataVolume]
	machine := func(object client.Object) *kubevirtv1.VirtualMachine { return object.(*kubevirtv1.VirtualMachine) }
	image := func(object client.Object) *harvesterv1.VirtualMachineImage {
		return object.(*harvesterv1.VirtualMachineImage)
	}
	claim := func(object client.Object) *corev1.PersistentVolumeClaim {
		return object.(*corev1.PersistentVolumeClaim)
	}
	volume := func(object client.Object) *cdiv1.DataVolume { return object.(*cdiv1.DataVolume) }
	type o = client.Object
	return map[string]ruling{
		"/harvester/mutate/images": {decode: decodeImage, mutate: func(c context.Context, i o,
			create bool) error {
			return s.imageDefaults(c, image(i), create)
		}},
		"/harvester/mutate/claims": {decode: decodeClaim, mutate: func(c context.Context, p o,
			_ bool) error {
			return s.claimDefaults(c, claim(p))
		}},
		"/harvester/mutate/machines": {schema: virtSchema, decode: decodeMachine,
			mutate: func(c context.Context, m o, create bool) error {
				return s.machineDefaults(c, machine(m), create)
			}},
		"/kubevirt/mutate/machines": {schema: virtSchema, decode: decodeMachine,
			mutate: func(c context.Context, m o, create bool) error {
				return s.virtDefaults(c, machine(m), create)
			}},
		"/harvester/validate/images": {
			decode: decodeImage,
			create: func(c context.Context, i o) error { return s.imageCreate(c, image(i)) },
			update: func(c context.Context, a, b o) error {
				return s.imageUpdate(c, image(a),
					image(b))
			},
			remove: func(c context.Context, i o) error { return s.imageDelete(c, image(i)) },
		},
		"/harvester/validate/claims": {
			decode: decodeClaim,
			create: func(c context.Context, p o) error { return s.claimCreate(c, claim(p)) },
			update: func(c context.Context, a, b o) error {
				return s.claimUpdate(c, claim(a),
					claim(b))
			},
			remove: func(c context.Context, p o) error { return s.claimDelete(c, claim(p)) },
		},
		"/harvester/validate/volumes": {
			decode: decodeVolume,
			remove: func(c context.Context, v o) error { return s.volumeDelete(c, volume(v)) },
		},
		"/cdi/validate/volumes": {
			decode: decodeVolume,
			create: func(c context.Context, v o) error { return s.volumeCreate(c, volume(v)) },
		},
		"/harvester/validate/machines": {
			decode: decodeMachine,
			create: func(c context.Context, m o) error {
				return s.machineJudge(c, machine(m),
					true)
			},
			update: func(c context.Context, _, m o) error {
				return s.machineJudge(c, machine(m),
					false)
			},
		},
		"/kubevirt/validate/machines": {
			decode: decodeMachine,
			create: func(c context.Context, m o) error {
				return asRefusal(s.virtJudge(c, machine(m),
					true))
			},
			update: func(c context.Context, _, m o) error {
				return asRefusal(s.virtJudge(c,
					machine(m), false))
			},
		},
	}
}

func asRefusal(causes []metav1.StatusCause) error {
	if len(causes) == 0 {
		return nil
	}
	text := ""
	for i, cause := range causes {
		if i > 0 {
			text += ", "
		}
		text += cause.Field + ": " + cause.Message
	}
	return invalid(causes[0].Field, "%s", text)
}

// rule answers one request of the API server.
func (s *standin) rule(ctx context.Context, path string, r ruling,
	request admission.Request) (response admission.Response) {
	defer func() {
		if panicked := recover(); panicked != nil {
			response = admission.Errored(http.StatusInternalServerError, fmt.Errorf("%v", panicked))
		}
	}()
	name := request.Namespace + "/" + request.Name
	if request.Operation == admissionv1.Create && r.mutate == nil {
		if f := s.faults.take("reject", request.Kind.Kind+" "+name); f != nil {
			return s.refuse(path, request, invalid("", "%s", f.text("refused for a test")))
		}
	}
	after, err := s.apply(ctx, r, request)
	if ctx.Err() != nil { // nobody waits for the ruling any more: it is none
		return admission.Errored(http.StatusInternalServerError, ctx.Err())
	}
	if err != nil {
		return s.refuse(path, request, err)
	}
	if r.mutate == nil || after == nil {
		if machine, ok := after.(*kubevirtv1.VirtualMachine); ok && request.Operation == admissionv1.Create {
			s.journal.remarked(s.remarksOn(machine))
		}
		return admission.Allowed("")
	}
	return s.patch(r, request, after)
}

// patch answers with what was changed, and with nothing that only Go's types add (fields that are null).
func (s *standin) patch(r ruling, request admission.Request,
	after client.Object) admission.Response {
	before, err := r.decode(request.Object.Raw)
	var was, is, difference, patched []byte
	if err == nil {
		was, err = json.Marshal(before)
	}
	if err == nil {
		is, err = json.Marshal(after)
	}
	if err == nil {
		difference, err = jsonpatch.CreateMergePatch(was, is)
	}
	if err == nil {
		patched, err = jsonpatch.MergePatch(request.Object.Raw, difference)
	}
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(request.Object.Raw, patched)
}

// apply decodes and rules; it returns the object as it is after the request, nil after a deletion.
func (s *standin) apply(ctx context.Context, r ruling, request admission.Request) (client.Object,
	error) {
	if request.Operation == admissionv1.Delete {
		before, err := r.decode(request.OldObject.Raw)
		if err != nil || r.remove == nil || request.UserInfo.Username == collectorUser || request.UserInfo.Username == harvesterUser {
			return nil, err
		}
		return nil, r.remove(ctx, before)
	}
	if request.DryRun != nil && *request.DryRun {
		ctx = context.WithValue(ctx, dryRun{}, true)
	}
	if r.schema != nil {
		if err := r.schema(request.Object.Raw); err != nil {
			return nil, err
		}
	}
	after, err := r.decode(request.Object.Raw)
	if err != nil {
		return nil, err
	}
	create := request.Operation == admissionv1.Create
	switch {
	case r.mutate != nil:
		err = r.mutate(ctx, after, create)
	case create && r.create != nil:
		err = r.create(ctx, after)
	case !create && r.update != nil:
		var before client.Object
		if before, err = r.decode(request.OldObject.Raw); err == nil {
			err = r.update(ctx, before, after)
		}
	}
	return after, err
}

func (s *standin) refuse(path string, request admission.Request, err error) admission.Response {
	no := &refusal{code: http.StatusInternalServerError, reason: metav1.StatusReasonInternalError,
		text: err.Error()}
	errors.As(err, &no)
	s.journal.rejected(rejection{
		Webhook: path, Operation: string(request.Operation), Kind: request.Kind.Kind,
		Name: request.Namespace + "/" + request.Name, User: request.UserInfo.Username,
		Message: no.text,
	})
	status := &metav1.Status{Status: metav1.StatusFailure, Code: no.code, Reason: no.reason,
		Message: no.text}
	if no.field != "" {
		status.Details = &metav1.StatusDetails{Causes: []metav1.StatusCause{
			{Type: metav1.CauseTypeFieldValueInvalid, Message: no.text, Field: no.field},
		}}
	}
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{Allowed: false,
		Result: status}}
}

// serveWebhooks listens for the API server; it returns the address to register, and the CA to trust.
func (s *standin) serveWebhooks() (string, []byte, error) {
	certificate, ca, err := newCertificate()
	if err != nil {
		return "", nil, err
	}
	mux := http.NewServeMux()
	for path, r := range s.rulings() {
		handler := admission.HandlerFunc(func(ctx context.Context,
			request admission.Request) admission.Response {
			return s.rule(ctx, path, r, request)
		})
		mux.Handle(path, &admission.Webhook{Handler: handler})
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-s.context.Done()
		_ = server.Close()
	}()
	go func() {
		secured := tls.NewListener(listener,
			&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
		_ = server.Serve(secured)
	}()
	return "https://" + listener.Addr().String(), ca, nil
}
