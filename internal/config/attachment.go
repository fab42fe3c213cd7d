// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Attachment returns what the configuration alone says about each attachment to
// its network. It opens no catalog.
func (c *Conf) Attachment() node.Attachment {
	return node.Attachment{
		Network: c.Name,
		Side:    c.Side, Mode: c.Mode, Attach: c.Attach, Dispatcher: c.Dispatcher, LibxdpVersion: c.LibxdpVersion,
		PeerNapi: c.PeerNapi, Counters: c.Counters,
		Programs: c.Programs,
	}
}

// AttachmentFor returns what the configuration says about the attachment of a pod with
// these annotations. It opens the catalog if a program may come from it. Errors are those
// of [catalog.Open] and of [catalog.Policy.Programs].
func (c *Conf) AttachmentFor(annotations map[string]string) (node.Attachment, error) {
	a := c.Attachment()
	annotation := annotations[catalog.Annotation]
	asked := c.Annotations != nil && annotation != ""
	if !asked && !slices.ContainsFunc(c.Programs, func(p chain.Program) bool { return p.Object == "" }) {
		return a, nil
	}
	var err error
	if a.Catalog, err = catalog.Open(c.CatalogDir); err != nil {
		return node.Attachment{}, err
	}
	more, err := c.Annotations.Programs(annotation, c.Programs, a.Catalog)
	if err != nil {
		return node.Attachment{}, err
	}
	a.Programs = slices.Concat(c.Programs, more)
	return a, nil
}
