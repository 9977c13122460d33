// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

// votes counts the distinct public keys of a role that signed what is written to it.
type votes struct {
	role   *roleKeys
	checks []vote
	buf    []byte
}

type vote struct {
	key Key
	signatureCheck
}

func newVotes(signers *roleKeys, signatures map[string][]byte) *votes {
	v := &votes{role: signers, buf: make([]byte, 0, blockSize)}
	for keyID, key := range signers.keys {
		if sig := signatures[keyID]; sig != nil {
			if check := key.check(sig); check != nil {
				v.checks = append(v.checks, vote{key, check})
			}
		}
	}
	return v
}

// Write takes a piece of the message; pieces are small, so they are handed on together. A nil *votes takes nothing.
func (v *votes) Write(p []byte) {
	if v == nil {
		return
	}
	if len(v.buf)+len(p) > cap(v.buf) {
		v.flush()
	}
	if len(p) > cap(v.buf) {
		for _, c := range v.checks {
			c.Write(p)
		}
		return
	}
	v.buf = append(v.buf, p...)
}

func (v *votes) flush() {
	for _, c := range v.checks {
		c.Write(v.buf)
	}
	v.buf = v.buf[:0]
}

// count is the verdict. Two key ids of one public key are one signer.
func (v *votes) count() error {
	v.flush()
	signers := make(map[Key]bool)
	for _, c := range v.checks {
		if !signers[c.key] && c.Verify() == nil {
			signers[c.key] = true
		}
	}
	return v.role.judge(signers)
}
