package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// network finds the way that the cluster's DNS and Services would find.
type network struct {
	mutex   sync.Mutex
	routes  routes
	holders map[string]string // beginning of a Lease's holderIdentity -> ADDRESS:PORT
	reader  client.Reader
	dialer  net.Dialer
}

func newNetwork(r routes, reader client.Reader) *network {
	return &network{
		routes: r, holders: map[string]string{}, reader: reader,
		dialer: net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second},
	}
}

// set adds routes and holders.
func (n *network) set(to *map[string]string, more map[string]string) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	for key, value := range more {
		(*to)[key] = value
	}
}

func (n *network) dial(ctx context.Context, kind, address string) (net.Conn, error) {
	n.mutex.Lock()
	target := n.routes[address]
	n.mutex.Unlock()
	if lease, found := strings.CutPrefix(target, "lease:"); found {
		holder, err := n.holder(ctx, lease)
		if err != nil {
			return nil, err
		}
		target = holder
	}
	if target == "" {
		target = address
	}
	return n.dialer.DialContext(ctx, kind, target)
}

// holder is the address of whoever holds the Lease NAMESPACE/NAME: a Service with one ready endpoint.
func (n *network) holder(ctx context.Context, lease string) (string, error) {
	namespace, name, _ := strings.Cut(lease, "/")
	var found coordinationv1.Lease
	err := n.reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &found)
	if err != nil {
		return "", err
	}
	identity := ""
	if found.Spec.HolderIdentity != nil {
		identity = *found.Spec.HolderIdentity
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	for beginning, address := range n.holders {
		if identity != "" && strings.HasPrefix(identity, beginning) {
			return address, nil
		}
	}
	return "", fmt.Errorf("connection refused: no endpoint for the holder %q of Lease %s", identity,
		lease)
}
