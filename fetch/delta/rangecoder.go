// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

// A bitWriter is a binary arithmetic encoder. The interval low to high narrows by each bit's probability; leading bytes
// that both ends share are written.
type bitWriter struct {
	low, high uint32
	out       []byte
}

func newBitWriter(out []byte) *bitWriter { return &bitWriter{high: 1<<32 - 1, out: out} }

// put writes a bit whose probability of being one was p, from 1 to 4095, of 4096.
func (w *bitWriter) put(bit, p int32) {
	mid := w.low + uint32(uint64(w.high-w.low)*uint64(p)>>12)
	if bit != 0 {
		w.high = mid
	} else {
		w.low = mid + 1
	}
	for (w.low^w.high)>>24 == 0 {
		w.out = append(w.out, byte(w.high>>24))
		w.low, w.high = w.low<<8, w.high<<8|255
	}
}

// close writes as many bytes as tell the interval.
func (w *bitWriter) close() []byte {
	return append(w.out, byte(w.high>>24), byte(w.high>>16))
}

// A bitReader reads what a bitWriter wrote. Behind the end it reads zeros.
type bitReader struct {
	low, high, at uint32
	in            []byte
}

func newBitReader(in []byte) *bitReader {
	r := &bitReader{high: 1<<32 - 1, in: in}
	for range 4 {
		r.at = r.at<<8 | r.next()
	}
	return r
}

func (r *bitReader) next() uint32 {
	if len(r.in) == 0 {
		return 0
	}
	b := r.in[0]
	r.in = r.in[1:]
	return uint32(b)
}

// get reads a bit whose probability of being one was p of 4096.
func (r *bitReader) get(p int32) int32 {
	mid := r.low + uint32(uint64(r.high-r.low)*uint64(p)>>12)
	bit := int32(0)
	if r.at <= mid {
		bit, r.high = 1, mid
	} else {
		r.low = mid + 1
	}
	for (r.low^r.high)>>24 == 0 {
		r.low, r.high, r.at = r.low<<8, r.high<<8|255, r.at<<8|r.next()
	}
	return bit
}
