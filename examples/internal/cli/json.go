// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !suitonly && !smalljson

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

func marshal(v any) ([]byte, error) { return json.Marshal(v) }

// unmarshal reads exactly one value with the members of v.
func unmarshal(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("the text ends after %d bytes, too early", len(data))
	} else if err != nil {
		return fmt.Errorf("byte %d: %w", dec.InputOffset(), err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("byte %d: something follows the value", dec.InputOffset())
	}
	return nil
}
