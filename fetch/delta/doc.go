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
// is an unsigned LEB128: seven bits per byte, the lowest first, the top bit set in each byte but the last. It is of the
// shortest form and below 2^62. A range a..b includes both ends.
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
//	uvarint   i, length of inserted
//	i bytes   inserted: one whole zstd frame and nothing else; i = 0 if, and only if, the block inserts nothing
//	the rest  decisions: one run of the range coder, see there
//
// The zstd frame (RFC 8878) has its content size in its header and uses no dictionary; it is no skippable one, and its last block, or the
// checksum behind that, is the last of the i bytes. The checksum is not looked at. The decisions say operations that fill the block from its first byte to its last. Each is
//
//	copied    a number: bytes to copy
//	literal   a number: bytes to insert; not both 0
//	shift     only if copied > 0, with a turn
//	changes   of the copied bytes
//
// An operation makes the next copied bytes of the new image, each out of its source and of the changes. The source of the byte at position q
// is that at position q+shift of the old image, turned: with the turn t, 0..7, it is floor((x + 256*y) / 2^t) modulo 256, where x is that byte
// and y the one behind it. So runs of bits are found that compressors put anywhere into a byte. All positions q+shift must be in the old image
// (0..O-1); bytes outside of it, where the following speaks of them, are 0. Then literal bytes are taken from the inserted part. Operations
// end when the block is full, never beyond it; then nothing may be left of inserted.
//
// # Decisions
//
// A decision is 0 or 1. It is made with an estimate: p, the probability of a 1 in units of 2^-14, and n, how many decisions were made
// with it, at most 3. At the beginning of each frame all have p = 8192 and n = 0. x>>n is floor(x/2^n). After a 1, p = p + ((16384-p) >> (n+1)),
// after a 0, p = p - (p >> (n+1)); then n = n+1 if it was below 3.
//
// The names of estimates below are arrays; each frame has one estimate for each index. In
//
//	tree(T, k)
//
// k decisions make a value below 2^k, its highest bit first: v = 1 at first, and after each decision, which is made with T[v], v = 2*v +
// decision; the value is v - 2^k. A number x >= 0 of a kind K is made of
//
//	n         tree(length[K], 6): floor(log2(x+1)), at most 43
//	h bits    tree(high[K][n], h), where h = min(n, 2)
//	m bits    decisions without estimates, if n > 4: m = n - 4
//	l bits    tree(low[K], l), where l = min(n-h, 2)
//
// and x+1 is 1 followed by these n bits, the highest first. Kinds are copied, literal and distance.
//
// A shift and its turn are a pair of the last seven different ones, which the frame begins with as seven times 0 and 0, or another. k =
// tree(shift, 3): if k is below 7, they are the pair in place k of the list. If k is 7, a decision with sign, a number x of the kind distance
// and tree(turn, 3) follow: the shift is that in place 0, plus x if the decision is 0, minus x if it is 1, and the turn is the tree's value. Then
// the pair moves to place 0 (from place k, or 6, which is lost), and those before it move by one.
//
// # Changes
//
// Code that moves keeps its words but for the addresses in them, and those change by the same amounts again and again. So changes
// are told by words of four bytes, little endian, whatever the image is.
//
// The copied bytes of an operation are taken in groups; a group ends before a position that is a multiple of 32 and at the end of
// the operation. The bytes of a group are taken in words; a word ends before a position that is a multiple of 4 and at the end of
// the group. With q the position of a word's first byte and b = q - q mod 4, old is the 32-bit number of the sources of
// positions b..b+3, top = old >> 24 and class = top >> 5. The state, all 0 at the beginning of each frame:
//
//	groups           the decisions of the last 8 groups, the latest in bit 0
//	words            the decisions of the last 2 words, the latest in bit 0
//	known[0..16383]  what was added to the last word with this hash, and 1, modulo 2^32; 0 if nothing is known
//	recent[0..7]     for each class, a list of 16 amounts
//
// A group begins with a decision made with group[groups]. If it is 0, the group equals its sources, and words becomes 0. If it is 1, its words
// follow in order. For each, with k = (old * 0x9E3779B1 modulo 2^32) >> 18 and kind = 0 if known[k] is 0, 1 if it is 1, else 2:
//
//  1. A decision with word[1024*kind + 4*top + words]. If it is 0, the word equals its sources, known[k] = 1, and this is all.
//  2. If kind is 2, a decision with same[top]. If it is 1, the amount is known[k]-1.
//  3. Else a decision with again[top]. If it is 1, the amount is in place tree(index[class], 4) of recent[class].
//  4. Else m = tree(lanes[top], 4); for each i of 0..3 whose bit 2^i is in m, lowest first, d = tree(value[i], 8) is added to
//     byte i of old (bits 8*i..8*i+7) modulo 256; the amount is the result minus old modulo 2^32.
//
// Then the amount moves to place 0 of recent[class] (in case 2 from its first place there, in case 3 from the place given, in case 4 and if it was not
// there from place 15, which is lost), those before it move by one, and known[k] = amount + 1 modulo 2^32. Bytes q-b onwards of old + amount modulo
// 2^32, as many as the word has, are those of the new image.
//
// # Range coder
//
// R = 2^32-1 at the beginning of each frame, and C is the number of its first four bytes, big endian. For a decision
// with an estimate, b = floor(R/2^14) * p; it is a 1 if C is below b, and R = b; else it is a 0, C = C-b and R = R-b. For a decision
// without one, R = floor(R/2); it is a 1 if C is at least R, and then C = C-R; else it is a 0. After each, while R is below 2^24, R = 256*R
// and C = 256*C + the next byte, modulo 2^32. Bytes behind the end of the frame are 0 for a reader, and left over bytes are ignored.
//
// # Limits
//
// A reader refuses what exceeds these, whoever signed it:
//
//	length of a packed frame    F + F/16 + 256, and memory - (F + 458752)
//	inserted, unpacked          length of the block
//	pages used by a frame       F/64
//	memory                      the reader's own, by default 2 MiB ([DefaultMemory])
//
// where 458752 is for the model, a window of the old image, a page of the table and zstd. A writer declares F + 458752 + the longest
// packed frame. F + 458752 alone must fit the reader's memory too. Inserted bytes need no memory of their own: unpacked to the end of the block,
// they are always behind what is made of it.
//
// Pages are those of 4096 bytes that the old image is read in: an operation that copies from position s on uses pages floor(s/4096) to
// floor((s+copied-1)/4096), in this order. A page counts when it is used and is not one of the last 4 different pages that this frame used, which a reader
// has at hand. So no frame makes a reader of such pages read more than 64 times as many bytes as it makes.
//
// # Example
//
// The old image is the 45 bytes "The quick brown fox jumps over the lazy dog." and a newline; the new one, of 47 bytes,
// begins with "> " and has "hazy" for "lazy". The patch, 216 bytes, F = 65536, memory = 0x80014 = 65536 + 458752 + 20:
//
//	89464d444c54310a 00010000 00080014 000000000000002d 000000000000002f
//	b47cc0f104b62d4c7c30bcd68fd8e67613e287dc4ad8c310ef10cbadea9c4380
//	626f4b522e33c789267e3fd9216e11112c73c7d5b1056bd2c6d31bb5a49344a1
//	63ea36a935aef073341740c467c37c184b2df336700cdcff57c40136075c40db
//	00000014
//	b31819fec10f9b24156a44d162943e68b4a3daf8ea2c4abf28820581f1a8c2e3
//	626f4b522e33c789267e3fd9216e11112c73c7d5b1056bd2c6d31bb5a49344a1
//	0b 28b52ffd 20 02 110000 3e20 ffe52a2828d7026c
//
// The last line is the frame: inserted has 11 bytes, a zstd frame of one raw block, "> ". The first operation copies nothing and inserts 2
// bytes; the second copies 45 bytes with the shift -2. Two groups are copied: positions 2..31, which do not differ, and 32..46, where
// position 37 does, by 0xfc. The decisions, here as estimate, p and decision (value[1][3] is index 3 of the tree value[1]; between high[copied]
// and low[copied] there is one without estimate, 1):
//
//	length[copied][1] 8192 0, length[copied][2] 8192 0, length[copied][4] 8192 0, length[copied][8] 8192 0,
//	length[copied][16] 8192 0, length[copied][32] 8192 0, length[literal][1] 8192 0, length[literal][2] 8192 0,
//	length[literal][4] 8192 0, length[literal][8] 8192 0, length[literal][16] 8192 0, length[literal][32] 8192 1,
//	high[literal][1][1] 8192 1, length[copied][1] 4096 0, length[copied][2] 4096 0, length[copied][4] 4096 0,
//	length[copied][8] 4096 1, length[copied][17] 8192 0, length[copied][34] 8192 1, high[copied][5][1] 8192 0,
//	high[copied][5][2] 8192 1, low[copied][1] 8192 1, low[copied][3] 8192 0, length[literal][1] 4096 0,
//	length[literal][2] 4096 0, length[literal][4] 4096 0, length[literal][8] 4096 0, length[literal][16] 4096 0,
//	length[literal][32] 12288 0, shift[1] 8192 1, shift[3] 8192 1, shift[7] 8192 1,
//	sign[0] 8192 1, length[distance][1] 8192 0, length[distance][2] 8192 0, length[distance][4] 8192 0,
//	length[distance][8] 8192 0, length[distance][16] 8192 0, length[distance][32] 8192 1, high[distance][1][1] 8192 1,
//	turn[1] 8192 0, turn[2] 8192 0, turn[4] 8192 0, group[0] 8192 0,
//	group[0] 4096 1, word[404] 8192 0, word[488] 8192 1, again[122] 8192 0,
//	lanes[122][1] 8192 0, lanes[122][2] 8192 0, lanes[122][4] 8192 1, lanes[122][9] 8192 0,
//	value[1][1] 8192 1, value[1][3] 8192 1, value[1][7] 8192 1, value[1][15] 8192 1,
//	value[1][31] 8192 1, value[1][63] 8192 1, value[1][127] 8192 0, value[1][254] 8192 0,
//	word[445] 8192 0, word[2] 8192 0
//
// The digest to sign is ecb722fd460d06f869ed656a0133ef10f25eee0c5c9f2292b521c07aa0a362c6.
//
// # Cost
//
// Applying takes the declared memory and reads the old image twice, once to compare its digest. Making reads both images more than once. It
// sorts the suffixes of an old image of up to 64 MiB, in six times its size of memory, seven if much of it is compressed; of a larger one
// it sorts only what does not lie in the new image byte for byte, at most 28 MiB at once, and takes at most 256 MiB.
package delta
