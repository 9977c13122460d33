// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package plan brings a payload to a device with the fewest bytes over the network: made out of the image that runs and a patch (package fetch/delta),
// put together from chunks that the device has (package fetch/chunk), packed, or whole.
//
// # Trust
//
// Offers, patches, indexes, the old image and seeds are trusted with nothing but bytes on the way. Whatever the way, each chunk goes through the one writer of
// package fetch, which compares it with the author's chunk digest before the sink sees it. A way that is wrong, in its offer or on the server, costs
// what it took, and the next one goes on at the last verified byte.
//
// Seeds are cut into chunks when they are needed, as far as twice the payload's size: a device keeps no index of what it has. The place that is written is a good
// one: what an earlier attempt left there counts though nobody remembers it. What comes again in a payload is read from where it was written, if the sink is
// an [io.ReaderAt].
//
// # Which way
//
// The cheapest by the sizes in signed metadata, for what is left of the payload: a delta from an image that the running one begins with (its digest is compared before
// the first byte is fetched), the index and what it says is missing, the packed payload, or the rest of the payload. A way is left for the next cheapest one when a part of it is not
// there, is not what was signed, makes wrong bytes, or needs more memory than the device allows; [fetch.Stats].Fallbacks tells why. A part of a patch that is not what was signed is
// asked for once more, and the third time only of a [fetch.Rejecter], which may have it from somewhere else. When the connection fails, the way stays: the next call goes on
// with it. Only a server that serves everything but the patch makes for another way.
//
// # Packed payloads
//
// A packed payload is a patch from the empty image, of which there is nothing to copy: its frames are zstd, each with its digest, and can be unpacked from any
// of them on. So it needs no reader of its own, takes no more memory than its header says, unpacks to no byte more than the payload has, and is resumed after a power cut like
// any delta. A stream that is packed as a whole (package fetch/packed) would begin again.
//
// # One budget
//
// [fetch.Options].MaxBytes caps what a call takes from the network, whatever the file and however often. A way that does not fit in what is left of
// it is not begun: [BudgetError] says what it would take. So a failed delta does not turn into a whole image on a metered connection.
//
// # Resuming
//
// The writer's checkpoint names the last verified byte, and any way goes on there. After a power cut at any point, what is fetched a second time is one checkpoint interval
// and one chunk, as always, or rather what they take: of a delta its header, the pages of its table up to there, and one frame; of chunks the index.
//
// # Offers, version 1
//
// What can be used instead of a payload is listed in the custom object of the release's TUF target (TUF 1.0.34, section 4.5), as its member
// "firmament-fetch". It can be added after the author signed: it can only ever lead to bytes that the author's chunk digests accept. Other members of the
// custom object belong to others.
//
//	"firmament-fetch": {
//	  "version": 1,
//	  "payloads": [                                   at most 16, by digest
//	    {
//	      "digest": "sha256:626f…",                   of the payload, as the manifest has it
//	      "size": 272176,                             in bytes, 1..2^40
//	      "deltas": [                                 optional; at most 32
//	        {
//	          "from": {"digest": "sha256:b47c…", "size": 271888},    of the old image: SHA-256, bytes 0..2^40; 0 is a packed payload
//	          "uri": "payloads/626f….b47c….delta",    1..1024 bytes; resolved as the payload's
//	          "size": 72707,                          of the patch, 1..2^40
//	          "digest": "sha256:9ec2…",               of the patch's header: what package fetch/delta has signed
//	          "memory": 917504                        bytes of buffers that applying takes, as the header says, 1..2^32-1
//	        }
//	      ],
//	      "index": {                                  optional
//	        "uri": "payloads/626f….caibx",
//	        "size": 488,                              1..[MaxIndexSize]
//	        "digest": "sha256:77aa…",                 of the index
//	        "from": [                                 optional; at most 32
//	          {
//	            "image": {"digest": "sha256:b47c…", "size": 271888},
//	            "missing": 250000                     bytes of the payload that this image has not, 0..2^40
//	          }
//	        ]
//	      }
//	    }
//	  ]
//	}
//
// The custom object has at most [MaxOffers] bytes. Inside of "firmament-fetch" all members but the optional ones must be there, once, and no others; numbers are integers without
// sign, fraction and exponent; digests are in the form of [verify.ParseDigest]. A reader that finds anything else, or another version, fetches the whole payload.
package plan
