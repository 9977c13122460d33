// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

//go:build suitonly || smalljson

package cli

import "github.com/firmament-dev/firmament/examples/internal/smalljson"

func marshal(v any) ([]byte, error) { return smalljson.Marshal(v) }

func unmarshal(data []byte, v any) error { return smalljson.Unmarshal(data, v) }
