// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/fetchtest"
	"github.com/firmament-dev/firmament/fetch/httpsource"
	"github.com/firmament-dev/firmament/internal/simfs"
)

// scripted makes a trick of two bytes: which one, and how.
func scripted(what, how byte) fetchtest.Trick {
	at := int(how) * size / 255
	rows := tricks()
	switch n := int(what); {
	case n < len(rows):
		return rows[n].trick
	case n == len(rows):
		return fetchtest.Cut(at)
	case n == len(rows)+1:
		return fetchtest.Stall(at)
	case n == len(rows)+2:
		return fetchtest.Truncate(at)
	case n == len(rows)+3:
		return fetchtest.Shorten(at)
	case n == len(rows)+4:
		return fetchtest.Flip(at)
	case n == len(rows)+5:
		return fetchtest.Shift(int(how) - 128)
	case n == len(rows)+6:
		return fetchtest.Mislabel(int(how) - 128)
	case n == len(rows)+7:
		return fetchtest.Status(200 + 2*int(how))
	}
	return nil
}

// FuzzRangeResume lets the input play the server, request by request, and kill the process at times. Whatever it does, the result is the right
// file or an error of a known class; nothing unverified is in the sink; and once the server is honest, the next call succeeds.
func FuzzRangeResume(f *testing.F) {
	f.Add(true, byte(0), []byte{})
	last := byte(len(tricks()))
	f.Add(true, byte(3), []byte{last, 100, last + 1, 200, last + 4, 30, last + 5, 129})
	f.Add(false, byte(0), []byte{last, 100, last + 2, 150, last + 6, 130, last + 3, 9})
	f.Add(false, byte(2), []byte{last, 0, 1, 1, last + 7, 103, last, 255})
	for n := range last {
		f.Add(n%2 == 0, n%3, []byte{last, 90, n, 0, last, 40, n, 0})
	}
	f.Fuzz(func(t *testing.T, index bool, killAt byte, script []byte) {
		if len(script) > 40 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			img := theImage()
			server := fetchtest.NewServer()
			server.Put(path, img.data)
			server.Put(pages, img.pages)
			var play []fetchtest.Trick
			for pair := range slices.Chunk(script, 2) {
				if len(pair) == 2 {
					play = append(play, scripted(pair[0], pair[1]))
				}
			}
			server.Script(path, play...)
			client := server.Client(t)
			res := fetch.Resource{URI: host + path, Size: size, Digest: img.digest}
			if index {
				res.Chunks = &fetch.Chunks{Root: img.root, Size: step}
			}
			store, sink := simfs.NewSim(simfs.Options{}).FS(), &medium{}
			call := func(kill int) error {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				retries := 0
				fetcher, err := fetch.New(fetch.Options{Source: httpsource.New(client), Storage: store, CheckpointEvery: interval, OnRetry: func(fetch.Retry) {
					if retries++; retries == kill {
						cancel()
					}
				}})
				if err != nil {
					t.Fatal(err)
				}
				_, err = fetcher.Fetch(ctx, res, sink)
				return err
			}
			start := time.Now()
			err := call(int(killAt))
			if errors.Is(err, context.Canceled) {
				sink.restart()
				err = call(0)
			}
			if took := time.Since(start); took > time.Duration(len(play)+20)*8*time.Minute {
				t.Errorf("took %v for %d tricks", took, len(play))
			}
			judge(t, cell{index: index}, err, errAny, sink, img.data)
			server.Script(path)
			server.Put(path, img.data)
			if err := call(0); err != nil || !bytes.Equal(sink.data, img.data) {
				t.Errorf("the server is honest, and the next call says %v", err)
			}
		})
	})
}
