// SPDX-License-Identifier: Apache-2.0

package node

import (
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
)

// AttachmentOf returns what the configuration alone says about each attachment to
// its network. It opens no catalog.
func AttachmentOf(c *config.Conf) Attachment {
	return Attachment{
		Network: c.Name,
		Side:    c.Side, Mode: c.Mode, Attach: c.Attach, Dispatcher: c.Dispatcher, LibxdpVersion: c.LibxdpVersion,
		PeerNapi: c.PeerNapi, Counters: c.Counters,
		Programs: c.Programs,
	}
}

// AttachmentFor returns what the configuration says about the attachment of a pod with
// these annotations. It opens the catalog if a program may come from it. Errors are those
// of [catalog.Open] and of [catalog.Catalog.Programs].
func AttachmentFor(c *config.Conf, annotations map[string]string) (Attachment, error) {
	a := AttachmentOf(c)
	annotation := annotations[catalog.Annotation]
	asked := c.Annotations != nil && annotation != ""
	if !asked && !slices.ContainsFunc(c.Programs, func(p config.Program) bool { return p.Object == "" }) {
		return a, nil
	}
	var err error
	if a.Catalog, err = catalog.Open(c.CatalogDir); err != nil {
		return Attachment{}, err
	}
	more, err := a.Catalog.Programs(c.Annotations, annotation, c.Programs)
	if err != nil {
		return Attachment{}, err
	}
	a.Programs = slices.Concat(c.Programs, more)
	return a, nil
}
