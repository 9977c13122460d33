// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A shape says what a CBOR item is, so that numbers get names and byte strings that hold CBOR are opened. What does
// not have its shape is written as it is: a shape describes, it checks nothing.
type shape struct {
	wraps    *shape                                 // a byte string has this in it
	elements []*shape                               // of an array, in order
	rest     *shape                                 // of those that follow
	key      func(k int64) (name string, of *shape) // of a map
	commands bool                                   // an array is a command sequence
	payload  bool                                   // the values of text keys are shortened
}

// Bounds of a diagnostic.
const (
	maxDiagnosticDepth = 64
	lineWidth          = 100
	payloadShown       = 32 // bytes of an integrated payload
)

var errNotCBOR = errors.New("not one deterministic CBOR item")

// diagnostic returns the one item b in CBOR diagnostic notation (RFC 8949, section 8; embedded CBOR as in
// RFC 8610, appendix G.3), with the names of keys as comments.
func diagnostic(b []byte, s *shape) (string, error) {
	d := diagnoser{b}
	text, err := d.item(s, 0)
	if err == nil && len(d.b) > 0 {
		err = errNotCBOR
	}
	return text, err
}

func hexadecimal(b []byte) string { return "h'" + hex.EncodeToString(b) + "'" }

// diagnoser takes items from the front of b.
type diagnoser struct{ b []byte }

// Major types of CBOR.
const (
	majorUint = iota
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap
	majorTag
	majorSimple
)

// head takes the head of an item. Indefinite lengths and reserved values are refused.
func (d *diagnoser) head() (major, info byte, arg uint64, err error) {
	if len(d.b) == 0 {
		return 0, 0, 0, errNotCBOR
	}
	major, info = d.b[0]>>5, d.b[0]&31
	d.b = d.b[1:]
	if info < 24 {
		return major, info, uint64(info), nil
	}
	n := 1 << (info - 24)
	if info > 27 || len(d.b) < n {
		return 0, 0, 0, errNotCBOR
	}
	var room [8]byte
	copy(room[8-n:], d.b[:n])
	d.b = d.b[n:]
	return major, info, binary.BigEndian.Uint64(room[:]), nil
}

// item takes one item of shape s, which may be nil, and writes it.
func (d *diagnoser) item(s *shape, depth int) (string, error) {
	if depth > maxDiagnosticDepth {
		return "", errNotCBOR
	}
	if s == nil {
		s = &shape{}
	}
	major, info, arg, err := d.head()
	if err != nil {
		return "", err
	}
	switch major {
	case majorUint:
		return strconv.FormatUint(arg, 10), nil
	case majorNegative:
		if arg == math.MaxUint64 {
			return "-18446744073709551616", nil
		}
		return "-" + strconv.FormatUint(arg+1, 10), nil
	case majorBytes, majorText:
		if arg > uint64(len(d.b)) {
			return "", errNotCBOR
		}
		content := d.b[:arg]
		d.b = d.b[arg:]
		if major == majorText {
			return quote(content)
		}
		return byteString(content, s, depth), nil
	case majorArray:
		return d.array(arg, s, depth)
	case majorMap:
		return d.pairs(arg, s, depth)
	case majorTag:
		text, err := d.item(s, depth+1)
		return fmt.Sprintf("%d(%s)", arg, text), err
	}
	return simple(info, arg)
}

// byteString opens what has CBOR in it.
func byteString(content []byte, s *shape, depth int) string {
	if s.wraps != nil {
		inside := diagnoser{content}
		if text, err := inside.item(s.wraps, depth+1); err == nil && len(inside.b) == 0 {
			return "<<" + text + ">>"
		}
	}
	if s.payload && len(content) > payloadShown {
		return fmt.Sprintf("h'%x ...' / %d bytes /", content[:payloadShown], len(content))
	}
	return hexadecimal(content)
}

func (d *diagnoser) array(n uint64, s *shape, depth int) (string, error) {
	if n > uint64(len(d.b)) {
		return "", errNotCBOR
	}
	if s.commands {
		return d.commandSequence(n, depth)
	}
	var parts []string
	for i := range int(n) {
		of := s.rest
		if i < len(s.elements) {
			of = s.elements[i]
		}
		text, err := d.item(of, depth+1)
		if err != nil {
			return "", err
		}
		parts = append(parts, text)
	}
	return join("[", parts, "]"), nil
}

func (d *diagnoser) pairs(n uint64, s *shape, depth int) (string, error) {
	if n > uint64(len(d.b)) {
		return "", errNotCBOR
	}
	var parts []string
	for range n {
		comment, of := d.name(s)
		key, err := d.item(nil, depth+1)
		if err != nil {
			return "", err
		}
		value, err := d.item(of, depth+1)
		if err != nil {
			return "", err
		}
		parts = append(parts, comment+key+": "+value)
	}
	return join("{", parts, "}"), nil
}

// name looks at the key that comes next.
func (d *diagnoser) name(s *shape) (comment string, of *shape) {
	ahead := *d
	major, _, arg, err := ahead.head()
	switch {
	case err == nil && major == majorText && s.payload:
		return "", &shape{payload: true}
	case err != nil || major > majorNegative || arg > math.MaxInt64 || s.key == nil:
		return "", nil
	case major == majorNegative:
		arg = ^arg
	}
	name, of := s.key(int64(arg))
	if name != "" {
		name = "/ " + name + " / "
	}
	return name, of
}

// commandSequence writes each command and its argument together.
func (d *diagnoser) commandSequence(n uint64, depth int) (string, error) {
	commands := shape{key: commandShape}
	var parts []string
	for range n / 2 {
		comment, of := d.name(&commands)
		code, err := d.item(nil, depth+1)
		if err != nil {
			return "", err
		}
		argument, err := d.item(of, depth+1)
		if err != nil {
			return "", err
		}
		parts = append(parts, comment+code+", "+argument)
	}
	if n%2 != 0 {
		return "", errNotCBOR
	}
	return join("[", parts, "]"), nil
}

// join puts parts on one line if they are few and short.
func join(open string, parts []string, end string) string {
	width := 0
	for _, p := range parts {
		width += len(p) + 2
		if strings.ContainsRune(p, '\n') {
			width = lineWidth + 1
		}
	}
	if width <= lineWidth {
		return open + strings.Join(parts, ", ") + end
	}
	for i, p := range parts {
		parts[i] = "  " + strings.ReplaceAll(p, "\n", "\n  ")
	}
	return open + "\n" + strings.Join(parts, ",\n") + "\n" + end
}

// quote writes text with escapes for all that a terminal could take for something else.
func quote(b []byte) (string, error) {
	if !utf8.Valid(b) {
		return "", errNotCBOR
	}
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range string(b) {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case strconv.IsPrint(r):
			out.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	out.WriteByte('"')
	return out.String(), nil
}

func simple(info byte, arg uint64) (string, error) {
	switch info {
	case 20:
		return "false", nil
	case 21:
		return "true", nil
	case 22:
		return "null", nil
	case 23:
		return "undefined", nil
	case 25:
		return float(half(uint16(arg))) + "_1", nil
	case 26:
		return float(float64(math.Float32frombits(uint32(arg)))) + "_2", nil
	case 27:
		return float(math.Float64frombits(arg)) + "_3", nil
	}
	if info == 24 && arg < 32 {
		return "", errNotCBOR
	}
	return fmt.Sprintf("simple(%d)", arg), nil
}

func float(v float64) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 0):
		return strings.TrimPrefix(strconv.FormatFloat(v, 'f', 0, 64), "+") + "inity"
	}
	text := strconv.FormatFloat(v, 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text
}

// half reads an IEEE 754 number of 16 bits.
func half(bits uint16) float64 {
	sign, exponent, fraction := 1.0, int(bits>>10&31), float64(bits&1023)
	if bits>>15 != 0 {
		sign = -1
	}
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction != 0 {
			return math.NaN()
		}
		return sign * math.Inf(1)
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}
