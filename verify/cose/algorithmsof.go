// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"bytes"

	"github.com/firmament-dev/firmament/verify"
)

// AlgorithmsOf returns the algorithm that each signature or tag of an authentication block is stated to be by, in the order of
// what Verify returns; zero for one that cannot be read. It verifies nothing: it is for an author who has, and who must not sign
// twice by one key and algorithm.
func AlgorithmsOf(block []byte) []Algorithm {
	switch {
	case bytes.HasPrefix(block, tagSign1):
		m, err := parse(block)
		if err != nil {
			break
		}
		return []Algorithm{m.stated()}
	case bytes.HasPrefix(block, tagMac0), bytes.HasPrefix(block, tagMac):
		return []Algorithm{HMAC256} // the only one
	case bytes.HasPrefix(block, tagSign):
		m, err := parseSign(block)
		if err != nil {
			break
		}
		out := make([]Algorithm, len(m.signatures))
		for i, s := range m.signatures {
			out[i] = s.stated()
		}
		return out
	}
	return []Algorithm{0}
}

func (s *signed) stated() Algorithm {
	alg, err := s.identify(new(verify.Signature))
	if err != nil {
		return 0
	}
	return alg
}
