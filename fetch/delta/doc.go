// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package delta makes and applies patches between two images: what is sent is how to make the new image out of
// the old one. [Make] is the author's side, [Open] and [Patch.Apply] are the device's.
//
// # Trust
//
// A patch is never trusted. The author, or whoever publishes patches later, signs the 32-byte digest of its header; every
// frame is compared with a digest under it before it is unpacked, and every block that comes out before it is
// written. With [ApplyOptions.Chunks] each block must also fit the author's own chunk digests (package
// fetch/chunk), which are part of the signed manifest: then a patch that somebody else made can fail, and can do nothing
// else. The old image is compared with its digest before the first write.
//
// # Resuming
//
// Frames are independent: applying starts again at any of them with no state but its number, which is the sink's
// offset divided by the frame size. After a power cut at most one frame, and what the sink had not synced, is done again.
//
// # Format, version 1
//
// All fixed-size integers are big endian. A patch is a header, a table and the frames, without gaps:
//
//	header   8 bytes    89 46 4d 44 4c 54 31 0a (\x89 "FMDLT1" newline)
//	         4 bytes    frame size F: a power of two from 64 KiB to 1 MiB
//	         4 bytes    memory: bytes of buffers that applying takes
//	         8 bytes    size of the old image, at most 2^40
//	         8 bytes    size of the new image, 1 to 2^40
//	        32 bytes    SHA-256 of the old image
//	        32 bytes    SHA-256 of the new image
//	        32 bytes    SHA-256 of the table's first page
//	table    pages of up to 64 entries, one entry per frame; each page but the last has 64 and is followed by
//	        32 bytes    SHA-256 of the next page (its own trailing digest included)
//	entry    4 bytes    length of the packed frame, at most F + F/16 + 256
//	        32 bytes    SHA-256 of the packed frame
//	        32 bytes    SHA-256 of the block
//	frames   packed frames in order
//
// Frame n makes block n: bytes n*F to (n+1)*F of the new image, the last one fewer. The digest to sign is the SHA-256 of the
// 128 bytes of the header. memory is F, 272 KiB for model and window, 8704 bytes for a page of the table, and the sizes of the
// largest packed frame, control part and inserted part; a frame that would exceed it is refused.
//
// A packed frame is
//
//	frame       = length(control) length(inserted) control inserted corrections
//	control     = one zstd frame (RFC 8878) with its content size, no dictionary; at most F bytes unpacked
//	inserted    = the same, or nothing if nothing is inserted; at most the block's length unpacked
//	corrections = the rest: one run of the arithmetic coder below
//
// where lengths are unsigned LEB128 (the varint of Go's encoding/binary). Unpacked, control is a list of operations that
// fill the block from its first byte to its last:
//
//	operation = copied inserted [ move ]
//
// copied and inserted are unsigned LEB128 and not both 0; move, a zigzag LEB128, is there if copied is not 0. A frame starts with a
// shift of 0. An operation adds move to the shift, makes the next copied bytes of the block out of the bytes of the old image at the same
// place plus shift, all of which must exist, and then takes the next inserted bytes from the inserted part. When the block
// is full, nothing may be left of control and inserted.
//
// # Corrections
//
// Copied bytes are those of the old image, except where the corrections say otherwise. Corrections are binary decisions,
// coded with the probability p/4096 of a one that the model below gives each. The coder holds a 32-bit interval, low = 0 and high =
// 2^32-1 at first. A decision splits it at mid = low + (high-low)*p/4096 (rounded down): one is low..mid, zero is mid+1..high. While the
// upper bytes of low and high are equal, that byte is shifted out, zeros into low and ones into high. The decoder
// reads zeros behind the end.
//
// Copied bytes are taken in groups that end where the position in the new image is a multiple of 32, or the operation does. A first
// decision (set 0) says whether anything in the group differs. If so, each byte has a decision whether it
// differs (set 1 + lane, where lane is the position in the new image modulo 4), and if it does, eight decisions (set 5) give
// the difference, new minus old modulo 256, from its highest bit on.
//
// Each decision has four contexts, 32-bit numbers; function byte and function span in correct.go are their definition. They consist of
// the old bytes around (0 outside of the old image), which bytes and groups differed before, and by how much. Context k selects
// the entry (context*0x9E3779B1 mod 2^32) >> 18 of table k, whose 16384 entries are 32-bit: a probability in the upper 22
// bits, 1/2 at first, and a count in the lower 10. The model is that of M. Mahoney's lpaq: with s(k) = stretch(upper 12 bits of entry k) and
// the weights of the set, 1/2 each at first in units of 2^-16, p is squash(sum of weight*s(k) >> 16). Then each weight changes by
// (s(k) * miss + 512) >> 10 where miss = 6*(4096*decision - p), and each probability by (its distance from the decision) * (131072/(2*count+3))
// >> 16, and the count rises to at most 250. squash interpolates a table of 33 values of 4096/(1+e^-x), stretch is its inverse (model.go).
// All of it is integer arithmetic; model and weights begin anew with each frame.
//
// # Cost
//
// Applying takes the declared memory, reads the old image twice (once to compare its digest), and takes time for what differs. Making
// sorts the suffixes of the old image, five bytes for each of its bytes beside the two images themselves.
package delta
