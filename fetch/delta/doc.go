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
// This and the following sections are the whole format. Integers of fixed size are unsigned and big endian. A uvarint
// is an unsigned LEB128: seven bits per byte, the lowest first, the top bit set in each byte but the last. It has at most 10 bytes
// and a value below 2^62. A svarint is the uvarint of 2*v if v >= 0, of -2*v-1 if v < 0. A range a..b includes both ends.
//
// A patch is a header, a table and the frames, without gaps. Readers do not look at what follows the last frame.
//
//	header, 128 bytes:
//	  0    8   magic    89 46 4d 44 4c 54 31 0a (0x89 "FMDLT1" newline)
//	  8    4   F        frame size: a power of two, 2^16..2^20
//	 12    4   memory   bytes of buffers that applying takes, see Limits
//	 16    8   O        size of the old image, 0..2^40
//	 24    8   N        size of the new image, 1..2^40
//	 32   32   SHA-256 of the old image
//	 64   32   SHA-256 of the new image
//	 96   32   SHA-256 of page 0 of the table
//	table, from 128 on: pages without gaps; a page is
//	  0   68*e          entries of its e frames
//	      32            SHA-256 of the next page, whole; absent in the last page
//	entry, 68 bytes:
//	  0    4   length of the packed frame
//	  4   32   SHA-256 of the packed frame
//	 36   32   SHA-256 of the block
//	frames, behind the table: the packed frames in order
//
// The new image is cut into blocks of F bytes, the last one of 1..F; frame n makes block n, whose first byte has the position n*F.
// Page k has the entries of frames 64*k to 64*k+63; the last page has those that are left, at least one. With
// n = ceil(N/F) frames in p = ceil(n/64) pages the table has 68*n + 32*(p-1) bytes. Frame n lies behind the
// lengths of all frames before it.
//
// The digest that is signed is the SHA-256 of the header. A reader compares, in this order: the header with the signed digest, the
// old image with its digest, each page with the digest in the header or in the page before it, each packed frame with its
// entry before unpacking it, and each block with its entry before writing it. The digest of the new image follows from those of the
// blocks; it is there to be compared with a manifest.
//
// # Frames
//
// A packed frame is
//
//	uvarint   c, length of control
//	uvarint   i, length of inserted
//	c bytes   control: one zstd frame
//	i bytes   inserted: one zstd frame, or i = 0 if the block inserts nothing
//	the rest  corrections: one run of the range coder, next section
//
// Each zstd frame (RFC 8878) has its content size in its header and uses no dictionary; a checksum in it is not
// looked at. Unpacked, control is a list of operations that fill the block from its first byte to its last:
//
//	uvarint   copied    bytes to copy, then
//	uvarint   literal   bytes to insert; not both 0
//	svarint   move      only if copied > 0: -2^41..2^41
//
// shift is 0 at the beginning of each frame. An operation with copied > 0 adds move to shift, then makes the next copied
// bytes of the new image: the byte at position q out of byte q+shift of the old image, its source. All sources must exist (0..O-1).
// Then literal bytes are taken from the inserted part. Operations end when the block is full, never beyond it; then nothing may
// be left of control and of inserted.
//
// # Corrections
//
// A copied byte is its source plus a difference modulo 256. Differences are sequences of decisions, each 0 or 1. The copied bytes
// of an operation are taken in groups; a group ends before a position that is a multiple of 32 and at the end of the operation.
// Inserted bytes take no decisions. The state, all 0 at the beginning of each frame:
//
//	groups   32 bits: the first decision of each group, the latest in bit 0
//	hist     32 bits: the first decision of each byte, the latest in bit 0
//	last     the difference of the last byte
//	carry    0 if the last byte did not differ, 1 if source plus difference was below 256, else 2
//	lane[4]  the last difference that was not 0, for each position modulo 4
//
// For a byte at position q let l = q mod 4, s(d) the byte of the old image at q+shift+d, 0 if there is none, top = s(3-l), and
// ahead = s(-1) + 256*s(-2). A decision is made with a weight set and four contexts, numbers of 32 bits, where x<<n is x*2^n, & and |
// are the bitwise and and or, and a carry of 2 shares a bit with last in the very last one, which is why | is not +:
//
//	group: does any byte differ?     set 0   (q is the position of its first byte)
//	  context 0   groups & 255
//	  context 1   (1<<16) | (groups & 15)
//	  context 2   2<<16
//	  context 3   (3<<16) | (s(3)<<1) | (groups & 1)
//	byte: does it differ?            set 1+l
//	  context 0   (1<<28) | (l<<8) | (hist & 255)
//	  context 1   (1<<28) | (l<<16) | (top<<8) | (hist & 7)
//	  context 2   (1<<28) | (ahead<<4) | (hist & 3)
//	  context 3   (1<<28) | (last<<8) | (carry<<4) | l
//	bit of the difference            set 5   (v is defined below)
//	  context 0   (2<<28) | (v<<4) | l
//	  context 1   (2<<28) | (v<<16) | (top<<4) | l
//	  context 2   (2<<28) | (v<<12) | (lane[l]<<4) | l
//	  context 3   (2<<28) | (v<<16) | (last<<4) | (carry<<3) | l
//
// A group begins with one group decision g; groups = 2*groups + g modulo 2^32. If g is 0, the group equals its sources and hist, last and
// carry become 0; lane stays. If g is 1, its bytes follow in order, each with a byte decision b, which a writer may make
// 0 for all of them. If b is 0, the byte is its source, hist = 2*hist modulo 2^32, and last and carry become 0. If b is 1, eight bit
// decisions give the difference, the highest bit first: v = 1 at first, and after each v = 2*v + bit; the difference is
// v - 256. Then hist = 2*hist + 1 modulo 2^32, and last, carry and lane[l] are set as defined above.
//
// # Model
//
// The model gives each decision p, the probability that it is a one, in units of 1/4096. It is that of M. Mahoney's
// lpaq, in integers; x>>n is floor(x/2^n), also of negative x, and / is integer division of positive numbers. It has, and
// each frame begins with:
//
//	w[set][k]    weights, signed, sets 0..5, k 0..3: 32768
//	P[k][slot]   probabilities of 22 bits, slots 0..16383: 2^21
//	C[k][slot]   counts: 0
//
// squash(x) is 1 if x < -2047 and 4095 if x > 2047; otherwise, with y = x+2048, i = y>>7 and r = y & 127, it is
// (L[i]*(128-r) + L[i+1]*r + 64) >> 7, where L[0..32] is
//
//	1 2 3 6 10 16 27 45 73 120 194 310 488 747 1101 1546 2047 2549 2994 3348 3607 3785
//	3901 3975 4022 4050 4068 4079 4085 4089 4092 4093 4094
//
// stretch(p), for p 0..4095, is the smallest x of -2047..2047 with squash(x) >= p, and 2047 if there is none.
//
// For a decision with contexts h[0..3], and k from 0 to 3:
//
//	slot[k] = (h[k]*0x9E3779B1 modulo 2^32) >> 18
//	t[k]    = stretch(P[k][slot[k]] >> 10)
//	p       = squash((w[set][0]*t[0] + ... + w[set][3]*t[3]) >> 16)
//
// and when the decision, bit, is known:
//
//	miss       = (4096*bit - p) * 6
//	w[set][k] += (t[k]*miss + 512) >> 10
//	P          = P + ((2^22*bit - P) * R >> 16), not below 0, not above 2^22-1,  R = 131072/(2*C+3)
//	C          = C + 1, not above 250
//
// where P and C stand for those of k and slot[k], and R uses C before it changes. Products need 64 bits; weights are kept in 32.
//
// # Range coder
//
// The coder holds an interval of 32-bit numbers, low = 0 and high = 2^32-1 at the beginning of each frame. For a decision
// with probability p, mid = low + ((high-low)*p >> 12), in 64 bits: a one makes high = mid, a zero makes low = mid+1. Then, while the upper
// eight bits of low and high are equal, low = 256*low and high = 256*high + 255, modulo 2^32. The writer appends those eight
// bits each time, and at the end of the frame the upper 16 bits of high, the upper eight first. The reader begins with a number
// of the first four bytes, big endian; the decision is a one if the number is at most mid; where low and high are shifted, the number
// becomes 256*number + the next byte, modulo 2^32. Bytes behind the end of the frame are 0 for it, and left over bytes are ignored.
//
// # Limits
//
// A reader refuses what exceeds these, whoever signed it:
//
//	length of a packed frame              F + F/16 + 256
//	control, unpacked                     F
//	inserted, unpacked                    length of the block
//	packed + control + inserted           memory - (F + 287232), for each frame
//	memory                                the reader's own, by default 2 MiB ([DefaultMemory])
//
// where 287232 is 262144 for the model, 16384 for a window of the old image and 8704 for a page of the table. A writer
// declares F + 287232 + the longest packed frame + the longest unpacked control + the longest unpacked inserted part. F + 287232 alone must
// fit the reader's memory too.
//
// # Example
//
// The old image is the 45 bytes "The quick brown fox jumps over the lazy dog." and a newline; the new one, of 47 bytes,
// begins with "> " and has "hazy" for "lazy". The patch, 227 bytes, F = 65536, memory = 0x56226 = 65536 + 287232 + 31 + 5 + 2:
//
//	89464d444c54310a 00010000 00056226 000000000000002d 000000000000002f
//	b47cc0f104b62d4c7c30bcd68fd8e67613e287dc4ad8c310ef10cbadea9c4380
//	626f4b522e33c789267e3fd9216e11112c73c7d5b1056bd2c6d31bb5a49344a1
//	de626f78062056ac3b70bb5793c65348e42e990b9bcb9c090a8bdc9759e9e9f0
//	0000001f
//	ac357de17fcb335d4b4d2a0f724684fcc6fbef9516b9375fdcd9f7bbc5a02e3b
//	626f4b522e33c789267e3fd9216e11112c73c7d5b1056bd2c6d31bb5a49344a1
//	0e 0b 28b52ffd 20 05 290000 00022d0003 28b52ffd 20 02 110000 3e20 8a3f5a06
//
// The last line is the frame: control and inserted have 14 and 11 bytes, each a zstd frame of one raw block. control is
// 00 02 (copy nothing, insert 2 bytes, "> ") and 2d 00 03 (shift is -2, copy 45 bytes). Two groups are copied: positions 2..31, which do not
// differ, and 32..46, where position 37 does, by 0xfc. The corrections 8a3f5a06 are 25 decisions,
// here as set, p and decision:
//
//	0 2055 0, 0 332 1,
//	1 2055 0, 2 2055 0, 3 2055 0, 4 2055 0, 1 684 0, 2 684 1,
//	5 2055 1, 5 2055 1, 5 2055 1, 5 2055 1, 5 2055 1, 5 2055 1, 5 2055 0, 5 2055 0,
//	3 2051 0, 4 1271 0, 1 985 0, 2 2051 0, 3 1271 0, 4 952 0, 1 761 0, 2 1828 0, 3 480 0
//
// The digest to sign is 9ec298ab584a42becdf39726d45d8256dc19501bc61f16a9118b2b7d9f82e3b9.
//
// # Cost
//
// Applying takes the declared memory, reads the old image twice (once to compare its digest), and takes time for what differs. Making
// sorts the suffixes of the old image, five bytes for each of its bytes beside the two images themselves.
package delta
