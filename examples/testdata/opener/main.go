// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Command opener opens an envelope: what a device needs of manifest and verify, and nothing else, to see how large that is.
// With the build tag run it also gives it to manifest/processor, for a device that it is not for.
//
//	opener ENVELOPE KEY.pem
package main

import (
	"os"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

func main() {
	if len(os.Args) != 3 {
		println("usage: opener ENVELOPE KEY.pem")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		println(err.Error())
		os.Exit(1)
	}
}

func run(envelope, key string) error {
	f, err := os.Open(envelope)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(key)
	if err != nil {
		return err
	}
	public, err := verify.ParsePublicKeyPEM(pem)
	if err != nil {
		return err
	}
	keys, err := verify.NewKeySet(verify.Entry{Key: public})
	if err != nil {
		return err
	}
	policy, err := verify.Threshold(1, "")
	if err != nil {
		return err
	}
	v, err := manifest.Open(f, info.Size(), keys, policy)
	if err != nil {
		return err
	}
	return use(v)
}
