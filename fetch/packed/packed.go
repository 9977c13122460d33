// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package packed unpacks compressed payloads while they are fetched, in constant memory.
//
// What travels and is signed chunk by chunk is the compressed file: URI, Size, Digest and Chunks of the fetch.Resource speak of it,
// and a decoder never sees a byte that was not verified. What comes out is the image, whose own size and digest the manifest
// signs as those of the component (suit-parameter-image-size and image-digest after decompression); its installer
// compares them when it reads the medium back.
//
// Signed are therefore two sizes, and the second is the limit: [Unpack] and [Sink] write not one byte more, whatever the
// ratio, and a decoder that wants more memory than [MaxWindow] for its window is refused before it has it.
//
// A [Sink] takes a broken connection up where it broke, as every sink does. It does not outlive its process, because a
// decoder's state is in memory: after a power cut the payload is fetched from its beginning. Where that is too dear, fetch the compressed
// file into a staging file, which resumes anywhere, and then call Unpack, which needs no network.
//
// Sub-packages hold the decoders: an agent links only those that it names.
package packed

import (
	"errors"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/fetch"
)

// MaxWindow is the most memory, in bytes, that a decoder may want for its window or dictionary: what zstd -19 and xz -6 need.
const MaxWindow = 8 << 20

// Errors to branch on. Each is found with errors.Is.
var (
	// ErrBomb says that a payload unpacks to more than was signed, or wants more memory than MaxWindow.
	ErrBomb = errors.New("packed: more than was signed")
	// ErrMalformed says that the compressed bytes are not of their format, or are followed by others.
	ErrMalformed = errors.New("packed: malformed")
)

// A Decoder opens a stream that unpacks r. What it returns reads r as it is read itself, from the same goroutine, keeps to MaxWindow, reports
// ErrBomb where it had to exceed it, and lets go of everything when it is closed.
type Decoder func(r io.Reader) (io.ReadCloser, error)

// block is how much is unpacked at a time.
const block = 128 << 10

// Unpack writes the size bytes that r unpacks to into w.
//
// Errors: ErrBomb, after at most size bytes; *fetch.SizeError if there are fewer; ErrMalformed, with the decoder's words; those of r
// and w as they are.
func Unpack(w io.Writer, r io.Reader, size int64, open Decoder) error {
	in := &input{r: r}
	d, err := open(in)
	if err != nil {
		return in.judge(err)
	}
	defer d.Close()                         // what it could say was said by Read
	p := make([]byte, min(size, block-1)+1) // one more than is left is asked for, to see that it is not there
	written := int64(0)
	for {
		n, err := d.Read(p[:min(size-written+1, int64(len(p)))])
		if int64(n) > size-written {
			return fmt.Errorf("over %d bytes: %w", size, ErrBomb)
		}
		if n > 0 {
			if _, err := w.Write(p[:n]); err != nil {
				return err
			}
			written += int64(n)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return in.judge(err)
		}
	}
	if written < size {
		return &fetch.SizeError{URI: "unpacked payload", Want: size, Seen: written}
	}
	if n, _ := io.ReadFull(r, p[:1]); n > 0 {
		return fmt.Errorf("more bytes after the end: %w", ErrMalformed)
	}
	return nil
}

// input remembers what went wrong with reading, which is not the decoder's fault.
type input struct {
	r   io.Reader
	err error
}

func (in *input) Read(p []byte) (int, error) {
	n, err := in.r.Read(p)
	if err != nil && err != io.EOF {
		in.err = err
	}
	return n, err
}

func (in *input) judge(err error) error {
	if in.err != nil {
		return in.err
	}
	if errors.Is(err, ErrBomb) {
		return err
	}
	return fmt.Errorf("%w: %v", ErrMalformed, err)
}
