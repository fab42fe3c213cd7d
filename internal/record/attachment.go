// SPDX-License-Identifier: Apache-2.0

package record

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/utils"

	"github.com/xdp-chain/xdp-chain/internal/errs"
	"github.com/xdp-chain/xdp-chain/internal/files"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Attachment says in which chains the members of a CNI attachment are.
type Attachment struct {
	// Network, ContainerID and Ifname name the attachment: the network's name,
	// CNI_CONTAINERID and CNI_IFNAME.
	Network     string `json:"network"`
	ContainerID string `json:"containerID"`
	Ifname      string `json:"ifname"`
	// Keys are the chains: at most one on each side of the pod's veth pair.
	Keys []chain.Key `json:"keys"`
}

// Owner is the attachment as the owner of its members, without the pod's names.
func (a Attachment) Owner() Owner {
	return Owner{Kind: OwnerAttachment, Network: a.Network, ContainerID: a.ContainerID, Ifname: a.Ifname}
}

// attachmentFile is an Attachment on file.
type attachmentFile struct {
	Version int `json:"version"`
	Attachment
}

// maxName is the largest length of a file's name, in bytes (NAME_MAX of
// linux/limits.h).
const maxName = 255

func (d Dir) attachments() string { return filepath.Join(d.Root, "attachments") }

// network returns the folder of a network's attachments. A name that CNI does not
// allow, among which are all that lead out of the folder, or that is too long for
// a folder, is an error that satisfies errors.Is(err, [chain.ErrInvalid]).
func (d Dir) network(name string) (string, error) {
	if len(name) > maxName {
		return "", fmt.Errorf("%w: network name %.20q… has %d bytes; at most %d are possible", chain.ErrInvalid, name, len(name), maxName)
	}
	if err := utils.ValidateNetworkName(name); err != nil {
		return "", fmt.Errorf("%w: network name %q: %s", chain.ErrInvalid, name, err.Msg)
	}
	return filepath.Join(d.attachments(), name), nil
}

// attachment returns the path of an attachment's file. Container IDs and interface
// names come from environment variables, so they hold no NUL.
func (d Dir) attachment(network, containerID, ifname string) (string, error) {
	folder, err := d.network(network)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(containerID + "\x00" + ifname))
	return filepath.Join(folder, hex.EncodeToString(sum[:])+suffix), nil
}

// SaveAttachment writes the file of an attachment, in the place of the one there
// was. A network name that cannot be a folder is an error that satisfies
// errors.Is(err, [chain.ErrInvalid]).
//
// A process that dies right after this has announced chains that may not be
// there; the attachment's DEL, or GC, finds that out and removes the file.
func (d Dir) SaveAttachment(a Attachment) error {
	path, err := d.attachment(a.Network, a.ContainerID, a.Ifname)
	if err != nil {
		return fmt.Errorf("save attachment: %w", err)
	}
	content, err := encode(attachmentFile{Version, a})
	if err == nil {
		err = d.replace(path, content)
	}
	return errs.Wrapf(err, "save attachment of %s/%s to network %q", a.ContainerID, a.Ifname, a.Network)
}

// LoadAttachment reads the file of an attachment. Without one, as for a network
// name that can have none, the error satisfies errors.Is(err, [fs.ErrNotExist]),
// with one that does not parse it is a [*BrokenError], and with one of a later
// version it satisfies errors.Is(err, [ErrVersion]).
func (d Dir) LoadAttachment(network, containerID, ifname string) (Attachment, error) {
	path, err := d.attachment(network, containerID, ifname)
	if err != nil {
		return Attachment{}, fmt.Errorf("load attachment: %w: %w", fs.ErrNotExist, err)
	}
	a, err := d.readAttachment(path)
	return a, errs.Wrapf(err, "load attachment of %s/%s to network %q", containerID, ifname, network)
}

// readAttachment reads an attachment's file, which must be about what its name says.
func (d Dir) readAttachment(path string) (Attachment, error) {
	var a attachmentFile
	err := d.read(path, func(content []byte) error {
		if err := decode(content, &a); err != nil {
			return err
		}
		if own, err := d.attachment(a.Network, a.ContainerID, a.Ifname); err != nil || own != path {
			return fmt.Errorf("%w: it is about %s/%s in network %q", chain.ErrInvalid, a.ContainerID, a.Ifname, a.Network)
		}
		return nil
	})
	if err != nil {
		return Attachment{}, err
	}
	return a.Attachment, nil
}

// RemoveAttachment removes the file of an attachment, and the network's folder
// with the last one. One that is not there is no error.
func (d Dir) RemoveAttachment(network, containerID, ifname string) error {
	path, err := d.attachment(network, containerID, ifname)
	if err != nil {
		return nil // a name that nothing can be kept under
	}
	return errs.Wrapf(d.remove(path), "remove attachment of %s/%s to network %q", containerID, ifname, network)
}

// HasAttachments tells whether a network has attachments. Unlike
// [Dir.Attachments] it takes the same time however many there are.
func (d Dir) HasAttachments(network string) (bool, error) {
	folder, err := d.network(network)
	if err != nil {
		return false, nil
	}
	f, err := os.Open(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for attachments: %w", err)
	}
	defer f.Close()
	_, err = f.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return err == nil, errs.Wrapf(err, "look for attachments")
}

// Attachments reads the attachments of a network, in no order that means anything.
// The error joins what was wrong with those that could not be read; the others are
// returned all the same. No folder is no attachments.
func (d Dir) Attachments(network string) ([]Attachment, error) {
	folder, err := d.network(network)
	if err != nil {
		return nil, nil
	}
	names, err := files.Names(folder)
	if err != nil {
		return nil, fmt.Errorf("list attachments: %w", err)
	}
	list := make([]Attachment, 0, len(names))
	var wrong []error
	for _, name := range names {
		switch a, err := d.readAttachment(filepath.Join(folder, name)); {
		case err == nil:
			list = append(list, a)
		case !errors.Is(err, fs.ErrNotExist): // else removed since it was listed
			wrong = append(wrong, fmt.Errorf("attachment to network %q: %w", network, err))
		}
	}
	return list, errors.Join(wrong...)
}

// Networks returns the networks that have attachments, in no order that means
// anything.
func (d Dir) Networks() ([]string, error) {
	names, err := files.Names(d.attachments())
	return names, errs.Wrapf(err, "list networks")
}
