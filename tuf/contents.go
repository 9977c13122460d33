// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import "bytes"

// contents is what a signed part says, as it is found on the way to the signatures' verdict. Nobody has vouched for it yet: it takes no more memory
// than maxHeld and maxMarks paths of MaxPath bytes.
type contents struct {
	head   value // the signed part without the targets
	listed bool  // there is an object of targets
	count  int
	marks  []mark
	stride int64
	fault  error // the first thing that is wrong with it
}

// maxMarks is how many marks a file has at most, and minStride how many bytes are between two of them at least.
const (
	maxMarks  = 8192
	minStride = 1 << 10
)

func newContents(size int64) *contents {
	return &contents{head: value("{"), stride: max(minStride, size/maxMarks)}
}

func (c *contents) fail(err error) {
	if c.fault == nil {
		c.fault = err
	}
}

// member notes a member of the signed part beside the targets.
func (c *contents) member(name, v value) {
	if len(c.head)+len(name)+len(v) > maxHeld {
		c.fail(malformed("signed: more than %d bytes beside the targets", maxHeld))
		return
	}
	if len(c.head) > 1 {
		c.head = append(c.head, ',')
	}
	c.head = append(append(append(c.head, name...), ':'), v...)
}

// entry checks and notes an entry of the targets.
func (c *contents) entry(name, v value, at int64) {
	if c.fault == nil && plainValue(v) != len(v) {
		_, c.fault = parseTargetFile(name.unquoted(), v)
	}
	c.mark(name, at)
}

// mark counts an entry and notes where every so many bytes one begins, so that few have to be passed to find one. What stands before the first
// has no other place to be searched from, so its mark is the least path.
func (c *contents) mark(name value, at int64) {
	c.count++
	switch {
	case len(c.marks) == 0:
		c.marks = append(c.marks, mark{"", at})
	case at-c.marks[len(c.marks)-1].at >= c.stride && len(name) <= MaxPath:
		c.marks = append(c.marks, mark{name.unquoted(), at})
	}
}

// run passes entries that are canonical as they stand: their form is what plainEntry knows.
func (c *contents) run(p []byte, at int64, last value, out *votes) (n int, name value) {
	for {
		nameLen, length := plainEntry(p[n:])
		if length == 0 {
			break
		}
		next := value(p[n+1 : n+1+nameLen])
		if n == 0 && compareNames(last[1:len(last)-1], next[1:len(next)-1]) >= 0 || n > 0 && bytes.Compare(last[:len(last)-1], next[:len(next)-1]) >= 0 {
			break // an error, which is for others to tell; between plain names the bytes decide
		}
		c.mark(next, at+int64(n)+1)
		last, name = next, next
		n += length
	}
	out.Write(p[:n])
	return n, name
}

// take gives t what its file says, or says what is wrong with it.
func (t *Targets) take(c *contents) error {
	if c.fault != nil {
		return c.fault
	}
	t.count, t.marks = c.count, c.marks
	if err := t.parseHead(append(c.head, '}')); err != nil {
		return err
	}
	if !c.listed {
		return malformed("targets: missing")
	}
	return nil
}

// passSigned passes the signed part, writes its canonical form to out and notes what it says.
func passSigned(s *scanner, out *votes, found *contents) error {
	members := 0
	return s.copyObject("signed", out, nil, func(name value, _ int64) error {
		if members++; members > maxMembers {
			return s.fail("too many members")
		}
		b, err := s.peek()
		if err != nil {
			return err
		}
		if string(name) != `"targets"` {
			v, err := s.copyValue(2, out)
			found.member(name, v)
			return err
		}
		if found.listed = true; b != '{' {
			found.fail(s.fail("targets: object expected"))
			_, err := s.copyValue(2, out)
			return err
		}
		run := func(p []byte, at int64, last value) (int, value) { return found.run(p, at, last, out) }
		return s.copyObject("targets", out, run, func(name value, at int64) error {
			v, err := s.copyValue(3, out)
			if err == nil {
				found.entry(name, v, at)
			}
			return err
		})
	})
}

// copyObject passes an object of sorted members and writes its canonical form, but for the values, which are each's, and the members of run.
func (s *scanner) copyObject(what string, out *votes, run passRun, each func(name value, at int64) error) error {
	separator := []byte("{")
	err := s.object(what, true, run, func(name value, at int64) error {
		out.Write(separator)
		out.Write(name)
		out.Write([]byte(":"))
		separator = []byte(",")
		return each(name, at)
	})
	if separator[0] == '{' {
		out.Write(separator)
	}
	out.Write([]byte("}"))
	return err
}

func (s *scanner) copyValue(depth int, out *votes) (value, error) {
	v, err := s.canonical(depth)
	out.Write(v)
	return v, err
}
