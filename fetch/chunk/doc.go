// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package chunk makes and checks chunk digests: what lets a device judge each piece of a payload before it writes it,
// though only one digest is signed. Package fetch is the reader that a device downloads with; this package is the author's
// side, and reads a payload that is at hand.
//
// # Format
//
// The payload, of size bytes (at least 1), is cut into chunks of chunk size bytes; the last one may be shorter. The
// chunk size is a power of two from 16 KiB to 4 MiB, 256 KiB by default. A chunk's digest is the SHA-256 of its bytes.
//
// The page file holds these digests as a tree of pages:
//
//	page file = root page, pages of level 1, pages of level 2, ... leaf pages
//	page      = 4096 bytes: up to 128 SHA-256 digests of 32 bytes, then zeros
//
// A leaf page holds the digests of 128 consecutive chunks, and every other page the digests of 128 consecutive pages
// (all 4096 bytes of each) of the level below. Only the last page of a level may hold fewer. There are as few
// levels as possible: up to 128 chunks the root page is the only page and a leaf page. The file has no header and no length field.
//
// What is signed is the root digest, the SHA-256 of the root page, with the payload's size and the chunk size beside it
// (in SUIT: suit-parameter-fetch-arguments and suit-parameter-image-size). Number and place of all pages follow from the two
// sizes, so a page cannot pass for a page of another level, nor a payload for a longer one. Page n begins at
// byte 4096*n of the file; a reader gets the one it needs with one range request and checks it against
// its parent before it uses a digest from it. By convention the page file lies at the payload's URI with ".chunks" appended.
//
// # Example
//
// 64 MiB in chunks of 256 KiB are 256 chunks: a root page with two digests and two leaf pages, 12,288 bytes. The digest of
// chunk 130 is the third of page 2 (bytes 8256 to 8287), whose digest is the second of page 0.
//
// # Limits
//
// A page file has 32 bytes per chunk, rounded up to pages, and about 1/128 of that for the levels above: 1/8192 of the
// payload in chunks of 256 KiB, 1/512 in chunks of 16 KiB. 2^63-1 bytes in chunks of 16 KiB need seven levels; readers
// hold one page per level.
//
// # Using again what is there
//
// The pages verify; an [Index] finds. It cuts an image where its content says so, in casync's .caibx format, and [Reuse] serves
// a payload out of seeds that have the same chunks and, for the rest, single ranges of the one payload file. It is a fetch.Source, so
// that everything it brings is judged by the pages.
package chunk
