// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
)

// What a Processor never does, so that no honest report tells it: see package processor, "Stricter than the standard".

// softens reports whether a failed condition ends no more than f: not if something in it has had an effect.
func (f *scope) softens() bool { return f.soft && !f.effects }

// set sets the parameters of the sequence.
func (f *scope) set(p *manifest.Parameters) {
	if p.StrictOrder != nil {
		f.lax = !*p.StrictOrder
	}
	if p.SoftFailure != nil {
		f.soft = *p.SoftFailure
	}
}

// end is the end of the run at cmd on c.
func (w *walker) end(cmd *manifest.Command, c int, seen *manifest.Parameters) error {
	w.step(cmd, c, Ended, seen)
	switch {
	case w.reason == ReasonConditionFailed && !ofCondition(cmd.Code) && !w.condition(cmd),
		w.reason == ReasonInvokePending && cmd.Code != manifest.DirectiveInvoke:
		return fmt.Errorf("%w: %v ended the run with %v", ErrMismatch, cmd.Code, w.reason)
	}
	return errEnded
}

// failed is a failure of cmd on c that has not ended the run.
func (w *walker) failed(cmd *manifest.Command, c int) error {
	id := w.id(c).String()
	switch {
	case !w.condition(cmd), cmd.Code == manifest.ConditionDependencyIntegrity:
		return fmt.Errorf("%w: %v at %v failed, or has no record that its policy asks for, and the run went on", ErrMismatch, cmd.Code, w.path)
	case cmd.Code == manifest.ConditionImageMatch && w.written[id]:
		return fmt.Errorf("%w: %v at %v failed after %s was changed, and the run went on", ErrMismatch, cmd.Code, w.path, id)
	case cmd.Code == manifest.ConditionImageMatch && slices.Contains(boots, w.section):
		w.unmatched[id] = true
	}
	return errFailed
}

// boots are the sections that decide about booting.
var boots = []manifest.Section{manifest.SectionValidate, manifest.SectionLoad, manifest.SectionInvoke}

// succeeded notes what cmd on c has done.
func (w *walker) succeeded(f *scope, cmd *manifest.Command, c int) {
	id := w.id(c).String()
	switch cmd.Code {
	case manifest.DirectiveOverrideParameters:
		f.set(cmd.Parameters)
		w.override(c, cmd.Parameters, true)
		return
	case manifest.DirectiveSetParameters:
		w.override(c, cmd.Parameters, false)
		return
	case manifest.DirectiveCopyParams:
		w.copyParams(cmd, id)
		return
	case manifest.ConditionDependencyIntegrity:
		if d, ok := w.digests[id]; ok {
			w.opened[fmt.Sprint(append(slices.Clone(w.walk), c))] = d
		}
		return
	case manifest.ConditionImageMatch:
		delete(w.unmatched, id)
		return
	case manifest.DirectiveUnlink:
		return // what was not used any more was not changed
	case manifest.DirectiveFetch, manifest.DirectiveWrite, manifest.DirectiveCopy, manifest.DirectiveSwap:
		if _, dependency := w.m.Dependency(c); dependency {
			return // it may have been there, for another manifest
		}
		w.written[id] = true
	case manifest.DirectiveInvoke:
	default:
		if cmd.Code > manifest.MaxCustom || w.condition(cmd) {
			return
		}
		w.written[id] = true
	}
	for ; f != nil; f = f.parent {
		f.effects = true
	}
}

// condition reports whether cmd is a condition: of a specification, or of the registry that the manifest was opened with.
func (w *walker) condition(cmd *manifest.Command) bool {
	if cmd.Code > manifest.MaxCustom {
		return cmd.Code.IsCondition()
	}
	k, ok := w.v.Options().Registry.Command(cmd.Code)
	return ok && k.Condition
}

// override sets the image digest in force, which tells dependencies apart; without replace, if there is none.
func (w *walker) override(c int, p *manifest.Parameters, replace bool) {
	id := w.id(c).String()
	if _, has := w.digests[id]; p.ImageDigest != nil && (replace || !has) {
		w.digests[id] = *p.ImageDigest
	}
}

func (w *walker) copyParams(cmd *manifest.Command, id string) {
	for _, from := range cmd.Copies {
		if d, ok := w.digests[w.id(int(from.Source)).String()]; ok && slices.Contains(from.Keys, manifest.ParameterImageDigest) {
			w.digests[id] = d
		}
	}
}
