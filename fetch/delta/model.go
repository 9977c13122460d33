// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

// A model guesses the next bit from several contexts at once: each has a probability that follows the bits seen in it,
// and a weighted sum, in the logistic domain, mixes them. All arithmetic is on integers, so that every machine makes
// the same guesses. It follows the public description of M. Mahoney's lpaq.
type model struct {
	table  [contexts][1 << tableBits]uint32 // probability of a one in the upper 22 bits, times seen in the lower 10
	weight [weightSets][contexts]int32      // 1<<16 is one

	slot    [contexts]uint32
	stretch [contexts]int32
	set     int
	guess   int32 // probability of a one, of 4096
}

const (
	contexts   = 4
	tableBits  = 14
	weightSets = 8
	seenLimit  = 250
)

func (m *model) reset() {
	for k := range m.table {
		t := &m.table[k]
		for i := range t {
			t[i] = 1 << 31
		}
	}
	for i := range m.weight {
		for k := range m.weight[i] {
			m.weight[i][k] = 1 << 15
		}
	}
}

// predict returns the probability, of 4096, that the next bit is a one. hash has the contexts.
func (m *model) predict(set int, hash *[contexts]uint32) int32 {
	m.set = set
	w := &m.weight[set]
	var sum int64
	for k := range contexts {
		at := hash[k] * 0x9E3779B1 >> (32 - tableBits)
		m.slot[k] = at
		s := stretches[m.table[k][at]>>20]
		m.stretch[k] = int32(s)
		sum += int64(w[k]) * int64(s)
	}
	m.guess = squash(int32(sum >> 16))
	return m.guess
}

// update learns what the bit was.
func (m *model) update(bit int32) {
	w := &m.weight[m.set]
	miss := (bit<<12 - m.guess) * 6
	for k := range contexts {
		w[k] += int32((int64(m.stretch[k])*int64(miss) + 0x200) >> 10)
		e := &m.table[k][m.slot[k]]
		seen := *e & 1023
		p := int64(*e >> 10)
		p += (int64(bit)<<22 - p) * int64(rates[seen]) >> 16
		p = min(max(p, 0), 1<<22-1)
		if seen < seenLimit {
			seen++
		}
		*e = uint32(p)<<10 | seen
	}
}

// stretches[p] is ln(p/(4096-p)), times 256; squash is its inverse.
var (
	stretches [4096]int16
	rates     [1024]int32
)

func init() {
	at := int32(0)
	for x := int32(-2047); x <= 2047; x++ {
		for p := squash(x); at <= p; at++ {
			stretches[at] = int16(x)
		}
	}
	for ; at < 4096; at++ {
		stretches[at] = 2047
	}
	for n := range rates {
		rates[n] = int32(65536 * 2 / (2*n + 3))
	}
}

// logistic holds 4096/(1+exp(-x/256)) for x from -2048 to 2048 in steps of 128.
var logistic = [33]int32{1, 2, 3, 6, 10, 16, 27, 45, 73, 120, 194, 310, 488, 747, 1101, 1546, 2047, 2549, 2994, 3348, 3607, 3785,
	3901, 3975, 4022, 4050, 4068, 4079, 4085, 4089, 4092, 4093, 4094}

func squash(x int32) int32 {
	if x > 2047 {
		return 4095
	}
	if x < -2047 {
		return 1
	}
	x += 2048
	i, rest := x>>7, x&127
	return (logistic[i]*(128-rest) + logistic[i+1]*rest + 64) >> 7
}
