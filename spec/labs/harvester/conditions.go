package main

import (
	"time"

	harvesterv1 "github.com/harvester/harvester/pkg/apis/harvesterhci.io/v1beta1"
	"github.com/rancher/wrangler/v3/pkg/condition"
	corev1 "k8s.io/api/core/v1"
)

type conditionType = condition.Cond

func conditionIs(image *harvesterv1.VirtualMachineImage, about conditionType,
	status corev1.ConditionStatus) bool {
	for _, c := range image.Status.Conditions {
		if c.Type == about {
			return c.Status == status
		}
	}
	return false
}

func setCondition(image *harvesterv1.VirtualMachineImage, about conditionType,
	status corev1.ConditionStatus, reason, message string) {
	now := time.Now().UTC().Format(time.RFC3339)
	next := harvesterv1.Condition{
		Type: about, Status: status, Reason: reason, Message: message,
		LastUpdateTime: now, LastTransitionTime: now,
	}
	for i, c := range image.Status.Conditions {
		if c.Type != about {
			continue
		}
		if c.Status == status {
			next.LastTransitionTime = c.LastTransitionTime
		}
		image.Status.Conditions[i] = next
		return
	}
	image.Status.Conditions = append(image.Status.Conditions, next)
}
