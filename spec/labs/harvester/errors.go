package main

import (
	"context"
	"fmt"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A refusal is an admission webhook's no.
type refusal struct {
	code   int32
	reason metav1.StatusReason
	text   string
	field  string
}

func (r *refusal) Error() string {
	return r.text
}

func invalid(field, format string, arguments ...any) error {
	return &refusal{http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, fmt.Sprintf(format,
		arguments...), field}
}

func conflict(format string, arguments ...any) error {
	return &refusal{http.StatusConflict, metav1.StatusReasonConflict, fmt.Sprintf(format,
		arguments...), ""}
}

func internal(format string, arguments ...any) error {
	return &refusal{http.StatusInternalServerError, metav1.StatusReasonInternalError,
		fmt.Sprintf(format, arguments...), ""}
}

// first runs checks until one refuses.
func first[T any](ctx context.Context, object T, checks ...func(context.Context, T) error) error {
	for _, check := range checks {
		if err := check(ctx, object); err != nil {
			return err
		}
	}
	return nil
}
