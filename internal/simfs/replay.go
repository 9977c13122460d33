// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// replayEnv names the case to run instead of all: "Test@12.torn512.3", with
// ",4.lost.0" for a second fault; "r7.eio.0" is the seventh read.
const replayEnv = "FIRMAMENT_REPLAY"

// failure is a case that ended badly.
type failure struct {
	job    *job
	second *point
	during *Sim // the recovery in which the second fault happened
	image  *Image
	err    error
}

// errNoCase means that the replayed workload does not make the operations of the
// case: it was changed.
var errNoCase = errors.New("no such case")

// fail notes the failure. What is neither a violation nor a panic keeps the
// machine from going on: S5.
func (j *job) fail(second *point, s *Sim, im *Image, err error) {
	if _, ok := errors.AsType[*Violation](err); !ok && !errors.Is(err, errPanic) && !errors.Is(err, errNoCase) {
		err = &Violation{"S5", err}
	}
	j.failure = &failure{job: j, second: second, during: s, image: im, err: err}
}

func (p point) String() string {
	read := ""
	if p.kind == Read {
		read = "r"
	}
	return fmt.Sprintf("%s%d.%s.%d", read, p.cut, p.class, p.variant)
}

func parsePoint(s string) (point, error) {
	var p point
	parts := strings.Split(s, ".")
	if len(parts) != 3 || !slices.Contains(classes, Class(parts[1])) {
		return p, fmt.Errorf("want operation.class.variant, have %q", s)
	}
	p.class = Class(parts[1])
	if n, isRead := strings.CutPrefix(parts[0], "r"); isRead {
		p.kind, parts[0] = Read, n
	}
	var err1, err2 error
	p.cut, err1 = strconv.Atoi(parts[0])
	p.variant, err2 = strconv.Atoi(parts[2])
	return p, errors.Join(err1, err2)
}

// replayOf returns the case that the environment names for this test.
func replayOf(tb TB) ([]point, bool) {
	name, list, ok := strings.Cut(os.Getenv(replayEnv), "@")
	if !ok || name != tb.Name() {
		return nil, false
	}
	var points []point
	for s := range strings.SplitSeq(list, ",") {
		p, err := parsePoint(s)
		if err != nil {
			tb.Fatalf("%s: %v", replayEnv, err)
			return nil, false
		}
		points = append(points, p)
	}
	return points, true
}

// replay runs one case.
func (x *explorer) replay(points []point) {
	j, err := x.find(points[0])
	if err != nil {
		x.tb.Fatalf("%s: %v", replayEnv, err)
		return
	}
	x.each = -1
	if len(points) > 1 {
		j.only = &points[1]
	}
	j.run()
	if x.merge([]*job{j}) {
		x.tb.Logf("replayed, no violation: %v", points)
	}
}

func (x *explorer) find(p point) (*job, error) {
	p.kind = x.recorded.kindAt(p)
	if slices.Contains(errorClasses, p.class) {
		return x.job(p, nil), nil
	}
	e := newEnumeration(x.recorded, x.recorded.Ops(), x.o.Variants, x.o.Seed)
	for e.cut < p.cut && e.next() {
	}
	if p.cut != e.cut || p.variant >= len(e.plans(p.class)) {
		return nil, fmt.Errorf("%w: %v", errNoCase, p)
	}
	return x.job(p, e.image(p.class, p.variant)), nil
}

// kindAt returns the kind of operation that a point to be replayed is about.
func (s *Sim) kindAt(p point) Kind {
	log := s.operations()
	if p.kind == Read || len(log) == 0 {
		return Read
	}
	return log[max(min(p.cut, len(log)), 1)-1].kind
}

// report says what happened and how to make it happen again.
func (f *failure) report(x *explorer) string {
	var b strings.Builder
	list := f.job.at.String()
	if f.second != nil {
		list += "," + f.second.String()
	}
	fmt.Fprintf(&b, "%v\n\n", f.err)
	fmt.Fprintf(&b, "case %s, seed %d; replay it with\n", list, x.o.Seed)
	name := x.tb.Name()
	fmt.Fprintf(&b, "  %s='%s@%s' go test -run '^%s$' %s\n", replayEnv, name, list, strings.ReplaceAll(name, "/", "$/^"), x.pkg)
	fmt.Fprintf(&b, "\nfirst fault: %s\n", f.job.at.describe())
	describeLog(&b, x.recorded.operations(), f.job.at, f.job.image)
	if f.second != nil {
		fmt.Fprintf(&b, "\nsecond fault, during the recovery from that: %s\n", f.second.describe())
		describeLog(&b, f.during.operations(), *f.second, f.image)
	}
	return b.String()
}

func (p point) describe() string {
	switch {
	case p.kind == Read:
		return fmt.Sprintf("read %d fails with %s", p.cut, p.class)
	case slices.Contains(errorClasses, p.class):
		return fmt.Sprintf("operation %d fails: %s", p.cut, p.class)
	}
	return fmt.Sprintf("power cut during operation %d, class %s, variant %d", p.cut, p.class, p.variant)
}

// describeLog prints the operations up to the fault, and what became of those
// that were pending.
func describeLog(b *strings.Builder, log []*op, p point, im *Image) {
	if p.kind == Read {
		p.cut = len(log)
	}
	fates := map[*op]fate{}
	if im != nil {
		for i, o := range im.ops {
			fates[o] = im.plan[i]
			if !slices.Contains(log, o) {
				fmt.Fprintf(b, "     - %-60v %v\n", o, im.plan[i])
			}
		}
	}
	for i, o := range log[:min(p.cut, len(log))] {
		became := ""
		if f, pending := fates[o]; pending {
			became = f.String()
		}
		fmt.Fprintf(b, "  %4d %-60v %s\n", i+1, o, became)
	}
	if p.cut > len(log) {
		fmt.Fprintf(b, "  after the last operation\n")
	}
}
