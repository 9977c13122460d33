// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !suitonly

package device

import (
	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/tuf"
)

// TUFRules are the refusals of package tuf, for cli.AddRules.
func TUFRules() []cli.Rule {
	return []cli.Rule{
		{Err: tuf.ErrFreeze, Name: "tuf.ErrFreeze", Exit: cli.Refused, Next: "sign the repository's timestamp again, or check the device's clock"},
		{Err: tuf.ErrRollback, Name: "tuf.ErrRollback", Exit: cli.Refused, Next: "the server offers older metadata than it did before: restore the newest"},
		{Err: tuf.ErrMixAndMatch, Name: "tuf.ErrMixAndMatch", Exit: cli.Refused, Next: "publish again: the server's files do not belong together"},
		{Err: tuf.ErrThreshold, Name: "tuf.ErrThreshold", Exit: cli.Refused, Next: "sign with the keys that the trusted root names, or is this another product's server?"},
		{Err: tuf.ErrLength, Name: "tuf.ErrLength", Exit: cli.Refused, Next: "the server's file is longer than was signed: publish again"},
		{Err: tuf.ErrHash, Name: "tuf.ErrHash", Exit: cli.Refused, Next: "the server's file is not the one that was signed: publish again"},
		{Err: tuf.ErrTargetUnknown, Name: "tuf.ErrTargetUnknown", Exit: cli.Refused, Next: "publish a release for this device class and channel"},
		{Err: tuf.ErrPath, Name: "tuf.ErrPath", Exit: cli.Refused, Next: "use a target path without dots and empty parts"},
		{Err: tuf.ErrMalformed, Name: "tuf.ErrMalformed", Exit: cli.Refused, Next: "the server's metadata is not TUF, or damaged: publish again"},
		{Err: tuf.ErrCache, Name: "tuf.ErrCache", Exit: cli.Trouble, Next: "the metadata cache cannot be read or written: check the disk"},
		{Err: tuf.ErrSlowRetrieval, Name: "tuf.ErrSlowRetrieval", Exit: cli.Trouble, Next: "try again later or from another network"},
		{Err: tuf.ErrTransport, Name: "tuf.ErrTransport", Exit: cli.Trouble, Next: "is the server running and reachable, and is this the repository's URL? try again"},
	}
}
