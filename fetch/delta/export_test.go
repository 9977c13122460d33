// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"context"
	"encoding/binary"
	"io"
)

// An Operation is what a frame says, possible or not.
type Operation struct {
	Copied, Literal, Shift int64
	Turn                   uint8
}

// Frame packs operations without changes. inserted is packed already.
func Frame(inserted []byte, all ...Operation) []byte {
	var c corrector
	c.write(nil)
	c.model = *fresh
	at := int64(0)
	for _, o := range all {
		c.operation(o.Copied, o.Literal, o.Shift, o.Turn)
		for end := at + min(o.Copied, MaxFrameSize); at < end; at = min(end, at-at%quiet+quiet) {
			c.bit(&c.group[c.groups&255], 0)
			c.groups <<= 1
		}
		at += min(o.Literal, MaxFrameSize)
	}
	return append(append(binary.AppendUvarint(nil, uint64(len(inserted))), inserted...), c.close()...)
}

// MakeInPieces is Make, bounded to less than usual: sorted bytes of the old image at once, for stage bytes of the new one.
func MakeInPieces(ctx context.Context, old, new Image, out io.WriterAt, sorted, stage int64) (Info, error) {
	return makePatch(ctx, old, new, out, Options{Bounded: true, FrameSize: MinFrameSize}, sorted, stage)
}
