// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"fmt"

	"github.com/firmament-dev/firmament/manifest"
)

// The rule of resumption.
//
// The journal has, in this order: what was answered and chosen since the effect before, that an effect begins, that it is done.
// So a cut leaves a row of effects that are done and, under strict-order true, at most one that has only begun, which is the last;
// under strict-order false there may be one in each strand, of components that no other strand uses. Every component holds what
// the last effect on it has made of it, or, where that has only begun, anything.
//
// A Run that follows walks the same way, as all answers and choices before the last effect are known, and
//
//   - does not repeat an effect that is done. If it is the last one on its component, the result is still there: the
//     component is asked, if it can tell, and the effect is repeated if it is not. Whatever an effect that is not the last has made is
//     gone, rightly; making it again would undo what came after it;
//   - does again an effect that has only begun. What it reads has not been changed since. A swap can only be finished, before anything else:
//     until then nobody knows what is where, and a rehearsal would go astray;
//   - answers a condition from the journal where an effect that was journaled is still to come on the component, as it holds something else by now,
//     and before the first effect on it, where the answer has decided the way. Otherwise it asks again: the answer must be
//     the same, and is better. An authorization that has led to an effect is not asked for again. What is to be copied or invoked is never trusted for an old answer.

// answered returns what was answered at the place of m before the interruption, if that led to an effect.
func (m *machine) answered() (err error, known bool) {
	held, known := m.replayed.matches[m.key(m.path)]
	if known && !held {
		err = fmt.Errorf("%w: as before the interruption", manifest.ErrCondition)
	}
	return err, known
}

// begun reports whether the effect at the place of m had begun, or was done, before the interruption.
func (m *machine) begun() bool {
	key := m.key(m.path)
	_, started := m.replayed.started[key]
	return started || m.replayed.done[key]
}

// ahead reports whether t was changed before the interruption by an effect that this Run has yet to come to. The rehearsal has
// counted them.
func (m *machine) ahead(t *target) bool {
	return t.n < len(m.replayed.changes) && m.of(t).past < m.replayed.changes[t.n]
}

// recalls reports whether what was answered here about the content of t stands.
func (m *machine) recalls(t *target) bool {
	return m.mode == rehearsal || !m.of(t).written || m.ahead(t)
}

// finish completes the effect at the place of m, which had begun, unless it is done.
func (m *machine) finish(do func() error) error {
	key := m.key(m.path)
	if m.replayed.done[key] {
		return nil
	}
	if err := m.call(do); err != nil {
		return err
	}
	if err := m.now(StepDone, m.path, 0); err != nil {
		return err
	}
	m.replayed.done[key] = true
	return nil
}
