// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"io"
)

// A Source opens files by URI. It is never trusted with content: whatever it returns is checked against
// signed digests. Sub-packages hold sources; httpsource is the usual one.
//
// Open starts reading uri at offset. validator is "" or a Stream.Validator seen earlier for this uri; if the
// file is no longer that version, the source must serve the file as it is now from its first byte (HTTP's If-Range does
// just that). A source that cannot start at offset serves from the first byte too and says so in Stream.Offset.
//
// Open and every Read of the body must return soon after ctx is done; ctx stays in force until the body is closed. Then its cause is
// how the body failed, if it did: ErrTransport for what ended too early or was too slow, ErrSize for another file.
// Errors that may pass are ErrTransport; of them, ErrTLS and ErrLimit end the download, as do ErrRefused (for a file that is absent also fs.ErrNotExist), ErrRedirect,
// ErrSize and ErrEncoding, and the third time in a row ErrAnswer, and ErrDigest of a source that found wrong bytes itself; an
// error of no known class counts as ErrTransport. A *StatusError's
// RetryAfter is honoured. A Read that reads much elsewhere before it returns a byte calls Arrived. Methods are safe for concurrent use.
type Source interface {
	Open(ctx context.Context, uri string, offset int64, validator string) (*Stream, error)
}

// A RangeSource is a Source that can ask for length bytes from offset and no more: for a page of chunk digests or
// one chunk a second time. With any other Source the stream is opened at offset and closed early.
type RangeSource interface {
	Source
	OpenRange(ctx context.Context, uri string, offset, length int64, validator string) (*Stream, error)
}

// An OrderedSource is a Source that is to be read in order, by one stream, whatever Options.Parallel says: it has bytes of its own, which it gives in a stream, and if it is
// a RangeSource, too, ranges are for repairs. ReadInOrder does nothing.
type OrderedSource interface {
	Source
	ReadInOrder()
}

// A Rejecter is a Source that wants to know that bytes it served were not what was signed, so that it can take them from
// elsewhere. Fetch calls Reject before it asks for them again, by range; a payload without chunk digests that turned out wrong as a whole, and a file of another
// size, are rejected, too.
type Rejecter interface {
	Source
	Reject(uri string, offset, length int64)
}

// A Stream is an open file.
type Stream struct {
	Body      io.ReadCloser
	Offset    int64  // where Body really begins: the offset asked for, or 0
	Size      int64  // of the whole file, -1 if the source does not know
	Validator string // strong validator of this version, "" if there is none
	// Whole says that Body ends where the file does, and not where a connection does: one that ends too early is another file. A source
	// sets it for a file of unknown Size, if it knows.
	Whole bool
}
