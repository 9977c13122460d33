// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// RSA in a header is refused before anything is computed with the signature, however long that is.
func TestCOS_10_RSA(t *testing.T) {
	keys := keySet(t, verify.Entry{Key: p256Key}, verify.Entry{Key: edKey})
	for name, alg := range map[string]string{
		"RS1": "39fffe", "RS256": "390100", "RS384": "390101", "RS512": "390102", "PS256": "3824", "PS384": "3825", "PS512": "3826",
	} {
		for _, size := range []int{64, 128, 256, 2048} {
			protected := unhex("a101" + alg)
			block := bytes.Join([][]byte{{0xd2, 0x84}, bstr(protected), {0xa0, 0xf6}, bstr(make([]byte, size))}, nil)
			sigs := cose.Verify(block, payload, keys)
			if len(sigs) != 1 || !errors.Is(sigs[0].Err, verify.ErrAlgorithm) {
				t.Errorf("%s, signature of %d bytes: %v", name, size, sigs)
			}
		}
	}
}
