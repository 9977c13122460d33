// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/firmament-dev/firmament/fetch"
)

// transportError puts an error of http.Client, which would print the whole URI, in a class of fetch.
func (h *hops) transportError(uri string, err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	class := fetch.ErrTransport
	switch {
	case errors.Is(err, fetch.ErrRedirect):
		return fmt.Errorf("%s: %w", fetch.RedactURI(uri), err)
	case distrusted(err):
		class = fetch.ErrTLS
	case h.answered.Load() && !broken(err):
		// The connection held, so it is the answer. That it is too long net/http has no type for.
		if class = fetch.ErrAnswer; strings.Contains(err.Error(), "response header") {
			class = fetch.ErrLimit
		}
	}
	return fmt.Errorf("%s: %w: %w", fetch.RedactURI(uri), class, err)
}

// distrusted reports whether one side did not accept the other: its certificate, its version of TLS, or that it spoke no TLS at all. A server that
// has an internal error may get over it.
func distrusted(err error) bool {
	var certificate *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	var op *net.OpError
	return errors.As(err, &certificate) || errors.As(err, &noTLS) || errors.Is(err, http.ErrSchemeMismatch) ||
		errors.As(err, &op) && op.Op == "remote error" && !strings.HasSuffix(op.Err.Error(), "internal error")
}

// broken reports whether the connection is to blame, or a deadline.
func broken(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled)
}
