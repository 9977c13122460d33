// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io/fs"
	"maps"
	"slices"
	"sync"
)

var (
	// ErrPowerLost is what every operation returns once power was lost.
	ErrPowerLost = errors.New("power lost")

	// ErrKilled is what every operation returns once [Sim.KillAfter] has struck.
	ErrKilled = errors.New("process killed")
)

// Profile says how much disorder the file system allows between barriers.
type Profile uint8

const (
	// Adversarial allows any subset of the pending operations: what POSIX does.
	Adversarial Profile = iota
	// Ordered keeps the order of operations, so only a tail of them is lost.
	Ordered
)

// Options describe a simulated machine.
type Options struct {
	Profile Profile
	FAT     []string // directories, with all below them, that are FAT partitions
}

// Sim is a simulated machine: a file system and block devices that record what
// is done to them and can lose power. Its methods are safe for concurrent use.
type Sim struct {
	opt Options

	mu       sync.Mutex
	base     *machine // where the log starts
	live     *tree    // what a process sees
	log      []*op
	told     map[string]any // acknowledged before the log starts
	acks     []ack
	next     inode
	freed    *content // of the file deleted last: the next one gets its blocks
	locks    map[inode]bool
	gone     error // after a power cut or restart
	faults   [2]fault
	reads    int
	observed hash.Hash
}

// fault is an injected failure of the n-th operation from now.
type fault struct {
	n   int
	err error
}

const (
	onChange = iota
	onRead
)

type ack struct {
	after int // operations
	key   string
	value any
}

// NewSim returns a machine with an empty file system and no devices.
func NewSim(o Options) *Sim {
	return bootSim(o, &machine{durable: newTree()}, nil, rootDir+1)
}

func bootSim(o Options, base *machine, told map[string]any, next inode) *Sim {
	s := &Sim{opt: o, base: base, told: maps.Clone(told), next: next}
	if s.told == nil {
		s.told = map[string]any{}
	}
	s.live = base.durable.clone()
	for _, p := range base.pending {
		p.apply(s.live, fate{how: done})
	}
	s.locks = map[inode]bool{}
	s.observed = sha256.New()
	return s
}

// FS returns the machine's file system.
func (s *Sim) FS() FS { return simFS{s} }

// Device returns a block device. It is made on first use, zeroed and of the
// given size in bytes; afterwards, also after a power cut, size is ignored. A
// device that does not exist and has size 0 fails with [fs.ErrNotExist].
func (s *Sim) Device(name string, size int64) Device {
	s.mu.Lock()
	defer s.mu.Unlock()
	ino, ok := s.live.devs[name]
	if !ok && size > 0 {
		ino = s.newInode()
		for _, t := range []*tree{s.live, s.base.durable} {
			t.addFile(ino, size)
			t.devs[name] = ino
		}
	}
	return &simDevice{simHandle{sim: s, ino: ino, name: name, write: true}}
}

// Reset makes everything so far durable and starts recording anew.
func (s *Sim) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base = &machine{durable: s.live.clone()}
	s.told = s.acked(len(s.log) + 1)
	s.log, s.acks, s.reads = nil, nil, 0
	s.observed = sha256.New()
}

// Restart is what a kill of the process does: open files and locks are gone,
// everything written is still seen, and what was pending is still pending. The
// old Sim fails from now on.
func (s *Sim) Restart() *Sim {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.base.clone()
	for _, o := range s.log {
		m.step(o)
	}
	n := bootSim(s.opt, m, s.acked(len(s.log)+1), s.next)
	// Not what the pending operations make of the medium: a failed sync leaves
	// data that only a process sees.
	n.live = s.live.clone()
	n.freed = s.freed
	s.gone = fs.ErrClosed
	return n
}

// fork returns a machine in the state where s started to record.
func (s *Sim) fork() *Sim {
	return bootSim(s.opt, s.base.clone(), s.told, s.next)
}

// twin returns a machine in the state in which s is, which has recorded nothing yet.
func (s *Sim) twin() *Sim {
	t := bootSim(s.opt, s.base.clone(), s.told, s.next)
	t.live, t.freed = s.live.clone(), s.freed // as in Restart
	return t
}

// Ops is the number of operations recorded, not counting reads.
func (s *Sim) Ops() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.log)
}

// CutAfter makes power fail during the n-th operation from now, 1 being the
// next one. Reads do not count.
func (s *Sim) CutAfter(n int) { s.inject(onChange, n, ErrPowerLost) }

// KillAfter kills the process before the n-th operation from now, 1 being the
// next one. The machine goes on with [Sim.Restart]. Reads do not count.
func (s *Sim) KillAfter(n int) { s.inject(onChange, n, ErrKilled) }

// Fail makes the n-th operation from now fail with err, once. ENOSPC lets half
// of a write through; a failed sync drops what it should have made durable, so
// that a later sync that succeeds does not cover it. Reads do not count.
func (s *Sim) Fail(n int, err error) { s.inject(onChange, n, err) }

// FailRead makes the n-th read from now fail with err, once.
func (s *Sim) FailRead(n int, err error) { s.inject(onRead, n, err) }

func (s *Sim) inject(on, n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[on] = fault{n, err}
}

// Ack records that the workload was told, by the value called key, that
// something is durable; [Sim.Acked] of a machine that lost power later returns
// it. Machines that differ in such values count as different, by their %v.
func (s *Sim) Ack(key string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone == nil {
		s.acks = append(s.acks, ack{len(s.log), key, value})
	}
}

// Acked returns the last value acknowledged under key, nil if there is none.
func (s *Sim) Acked(key string) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acked(len(s.log) + 1)[key]
}

// acked returns what was acknowledged when operation number cut was under way.
func (s *Sim) acked(cut int) map[string]any {
	told := maps.Clone(s.told)
	for _, a := range s.acks {
		if a.after < cut {
			told[a.key] = a.value
		}
	}
	return told
}

// ReadHash identifies what this machine's processes have seen since it booted,
// or since Reset: every byte, size and name that was read, and every absence.
func (s *Sim) ReadHash() [32]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return digest(s.observed.Sum(nil))
}

// state identifies all that a process can find out about the machine as long as
// nothing fails. settled is false while that is not all: a lock is held, or a
// fault waits.
func (s *Sim) state() (sum digest, settled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone != nil || len(s.locks) > 0 || s.faults[onChange].n > 0 || s.faults[onRead].n > 0 {
		return sum, false
	}
	return sumOf(s.live, s.acked(len(s.log)+1)), true
}

// begin is called, locked, before operation o. It returns the error that the
// operation is to fail with.
func (s *Sim) begin(on int) error {
	if s.gone != nil {
		return s.gone
	}
	if on == onRead {
		s.reads++
	}
	f := &s.faults[on]
	if f.n == 0 {
		return nil
	}
	if f.n--; f.n > 0 {
		return nil
	}
	if errors.Is(f.err, ErrPowerLost) || errors.Is(f.err, ErrKilled) {
		s.gone = f.err
	}
	return f.err
}

// record adds an operation to the log and returns its injected error. When
// power fails the operation is under way and may still have its effect; when it
// fails otherwise it has none, but for a sync.
func (s *Sim) record(o *op) error {
	err := s.begin(onChange)
	switch {
	case s.gone != nil && !errors.Is(err, ErrPowerLost):
		return s.gone
	case err == nil:
		s.add(o)
		o.apply(s.live, fate{how: done})
		return nil
	case errors.Is(err, ErrPowerLost):
		s.add(o)
	case o.isSync():
		o.failed = err
		s.add(o)
	default:
		s.log = append(s.log, &op{kind: o.kind, name: o.name, to: o.to, failed: err})
	}
	return err
}

func (s *Sim) add(o *op) {
	s.log = append(s.log, o)
	switch o.kind {
	case Create:
		s.live.addFile(o.ino, 0)
	case Mkdir:
		s.live.dirs[o.ino] = map[string]inode{}
	}
}

func (s *Sim) newInode() inode {
	ino := s.next
	s.next++
	return ino
}

// operations returns the log for printing.
func (s *Sim) operations() []*op {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}
