// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// contentAlgorithms are the algorithms that encrypt can be asked for.
var contentAlgorithms = []cose.ContentAlgorithm{cose.A128GCM, cose.A256GCM, cose.ChaCha20Poly1305, cose.A128CTR, cose.A256CTR}

// encrypted is what encrypt prints.
type encrypted struct {
	Result     string `json:"result"`
	Algorithm  string `json:"algorithm"`
	Recipients int    `json:"recipients"`
	Plaintext  sized  `json:"plaintext"`
	Ciphertext sized  `json:"ciphertext"`
	Info       string `json:"encryption_info"` // in hexadecimal, as a description has it
}

type sized struct {
	Size   int64  `json:"size"`
	Digest string `json:"digest"`
}

func encryptPayload(ctx context.Context, c *call) error {
	var recipients, keks list
	c.fs.Var(&recipients, "recipient", "[KID=]PUB.pem, the P-256 key of a recipient and its key identifier, which more than 64 recipients need; may be given several times")
	c.fs.Var(&keks, "kek", "[KID=]HEX, a key encryption key in hexadecimal, shared with recipients; may be given several times")
	algorithm := c.fs.String("algorithm", cose.A128GCM.String(), "one of "+algorithmNames()+"; those of CTR have no integrity of their own")
	out := c.fs.String("out", "", "file for the ciphertext (required)")
	info := c.fs.String("info", "", "file for the encryption info, which is printed in any case")
	if err := c.parse(); err != nil {
		return err
	}
	switch {
	case *out == "":
		return cli.Usagef("firmctl manifest encrypt needs --out FILE")
	case sameFile(*out, *info):
		return cli.Usagef("--out and --info are both %s", *out)
	case len(recipients)+len(keks) == 0:
		return cli.Usagef("no --recipient and no --kek: nobody could decrypt it")
	}
	alg, err := parseAlgorithm(*algorithm)
	if err != nil {
		return err
	}
	to, err := readRecipients(recipients, keks)
	if err != nil {
		return err
	}
	done, err := encryptFile(ctx, c.args[0], *out, *info, alg, to)
	if err != nil {
		return err
	}
	if c.json {
		return cli.PrintJSON(c.stdout, done)
	}
	_, err = fmt.Fprintf(c.people, `wrote %s, %d bytes, %s for %d recipients
plaintext %s, %d bytes
"encryption-info": "%s"
`, *out, done.Ciphertext.Size, done.Algorithm, done.Recipients, done.Plaintext.Digest, done.Plaintext.Size, done.Info)
	return err
}

func algorithmNames() string {
	var names []string
	for _, a := range contentAlgorithms {
		names = append(names, a.String())
	}
	return strings.Join(names, ", ")
}

func parseAlgorithm(name string) (cose.ContentAlgorithm, error) {
	for _, a := range contentAlgorithms {
		if a.String() == name {
			return a, nil
		}
	}
	return 0, cli.Usagef("--algorithm %.80q, want one of %s", name, algorithmNames())
}

func readRecipients(public, keks []string) ([]cose.Recipient, error) {
	var out []cose.Recipient
	for _, value := range public {
		kid, name := cutKID(value)
		key, err := readPublic(name)
		if err != nil {
			return nil, err
		}
		pub, ok := key.Public().(*ecdsa.PublicKey)
		if !ok {
			return nil, cli.Inputf("%s is a key of type %v, want a P-256 public key", name, key.Type())
		}
		exchange, err := pub.ECDH()
		if err != nil {
			return nil, cli.Inputf("%s: %w; want a P-256 public key", name, err)
		}
		out = append(out, cose.Recipient{KID: kid, Public: exchange})
	}
	for _, value := range keks {
		kid, text := cutKID(value)
		wrapper, err := parseKEK(text)
		if err != nil {
			return nil, err
		}
		out = append(out, cose.Recipient{KID: kid, Wrapper: wrapper})
	}
	return out, nil
}

// measure counts and hashes what goes through.
type measure struct {
	io.Writer
	size int64
}

func (m *measure) Write(b []byte) (int, error) {
	n, err := m.Writer.Write(b)
	m.size += int64(n)
	return n, err
}

func encryptFile(ctx context.Context, from, out, info string, alg cose.ContentAlgorithm, to []cose.Recipient) (e encrypted, err error) {
	in, _, err := cli.OpenFile(from, "a payload")
	if err != nil {
		return e, err
	}
	defer in.Close()
	d, err := newDraft(out)
	if err != nil {
		return e, err
	}
	defer d.drop()
	plain, secret := sha256.New(), sha256.New()
	ciphertext := &measure{Writer: io.MultiWriter(d, secret)}
	enc, err := cose.NewEncrypter(ctx, alg, ciphertext, to...)
	if err != nil {
		return e, err
	}
	n, err := io.Copy(io.MultiWriter(enc, plain), in)
	if closeErr := enc.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return e, fmt.Errorf("%s: %w", from, err)
	}
	if info != "" {
		if err := writeFile(info, enc.Info()); err != nil {
			return e, err
		}
	}
	if err := d.commit(); err != nil {
		return e, err
	}
	return encrypted{"ok", alg.String(), len(to), measured(n, plain.Sum(nil)), measured(ciphertext.size, secret.Sum(nil)), hex.EncodeToString(enc.Info())}, nil
}

func measured(size int64, sum []byte) sized {
	return sized{size, verify.SHA256.String() + ":" + hex.EncodeToString(sum)}
}
