// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"fmt"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// Compatibility is the Compatibility Check Template: every procedure checks that the device
// is of this vendor and class and, if device is not nil, the one device.
//
// draft-ietf-suit-manifest-37, section 7.1.
func (b *Builder) Compatibility(at Index, vendor, class manifest.UUID, device *manifest.UUID) {
	var none manifest.UUID
	if vendor == none || class == none || (device != nil && *device == none) {
		b.fail(fmt.Errorf("%w: vendor, class or device identifier is zero", manifest.ErrMalformed))
		return
	}
	b.Add(manifest.SectionShared, at, override(&manifest.Parameters{VendorID: &vendor, ClassID: &class, DeviceID: device}),
		manifest.Command{Code: manifest.ConditionVendorID, Policy: reportAlways},
		manifest.Command{Code: manifest.ConditionClassID, Policy: reportAlways})
	if device != nil {
		b.Add(manifest.SectionShared, at, manifest.Command{Code: manifest.ConditionDeviceID, Policy: reportAlways})
	}
}

// Expect sets in the shared sequence what a component must be: the first part of most
// templates. The image's URI is not used.
func (b *Builder) Expect(at Index, image Image) {
	what, _, err := image.parameters()
	if err != nil {
		b.fail(fmt.Errorf("image at index %d: %w", at, err))
		return
	}
	b.Add(manifest.SectionShared, at, override(what))
}

// Download is the Component Download Template, without the part of Expect: section, which
// is SectionInstall or SectionPayloadFetch, fetches the image and matches it. With encryption
// info the device decrypts what it fetches, and the image is the plaintext.
//
// draft-ietf-suit-manifest-37, section 7.3; firmware-encryption-25, section 7.
func (b *Builder) Download(section manifest.Section, at Index, image Image, encryptionInfo []byte) {
	_, where, err := image.parameters()
	if err != nil {
		b.fail(fmt.Errorf("image at index %d: %w", at, err))
		return
	}
	where.EncryptionInfo = encryptionInfo
	b.Add(section, at, override(where),
		manifest.Command{Code: manifest.DirectiveFetch, Policy: reportFailures}, imageMatch)
}

// Integrate is the Integrated Payload Template: Expect and Download, in the install section, of
// data that the envelope carries under uri, such as "#image".
//
// draft-ietf-suit-manifest-37, section 7.5.
func (b *Builder) Integrate(at Index, uri string, data []byte) {
	image := Image{URI: uri, Digest: verify.Sum(verify.SHA256, data), Size: int64(len(data))}
	b.Expect(at, image)
	b.Download(manifest.SectionInstall, at, image, nil)
	b.Payload(uri, data)
}

// Copy is the Install Template (in SectionInstall) and the Load from Nonvolatile Storage Template (in
// SectionLoad): to becomes what from is, decrypted if there is encryption info, and is matched.
//
// draft-ietf-suit-manifest-37, sections 7.4 and 7.6.
func (b *Builder) Copy(section manifest.Section, from, to Index, encryptionInfo []byte) {
	source := uint64(from)
	b.Add(section, to, override(&manifest.Parameters{SourceComponent: &source, EncryptionInfo: encryptionInfo}),
		manifest.Command{Code: manifest.DirectiveCopy, Policy: reportFailures}, imageMatch)
}

// Write puts content, which is part of the manifest, into a component, decrypted if there is
// encryption info.
func (b *Builder) Write(section manifest.Section, at Index, content, encryptionInfo []byte) {
	b.Add(section, at, override(&manifest.Parameters{Content: content, EncryptionInfo: encryptionInfo}),
		manifest.Command{Code: manifest.DirectiveWrite, Policy: reportFailures})
}

// Validate is the first half of the Trusted Invocation Template, after Expect: before an
// invocation, the component is matched.
//
// draft-ietf-suit-manifest-37, section 7.2.
func (b *Builder) Validate(at Index) {
	b.Add(manifest.SectionValidate, at, imageMatch)
}

// Invoke is the second half of the Trusted Invocation Template.
func (b *Builder) Invoke(at Index, arguments []byte) {
	if arguments != nil {
		b.Add(manifest.SectionInvoke, at, override(&manifest.Parameters{InvokeArgs: arguments}))
	}
	b.Add(manifest.SectionInvoke, at, manifest.Command{Code: manifest.DirectiveInvoke, Policy: reportFailures})
}

// Resolve is the Dependency Template: dependency-resolution fetches the envelope at uri, of size bytes, checks it,
// and has its dependencies resolved. It must have the manifest digest, as
// manifest.Envelope.Digest returns it, and authentication that the device accepts. What the dependency does later is
// begun by Process, for each section.
//
// The digest is overridden, not set: no third manifest can replace it.
//
// draft-ietf-suit-trust-domains-12, section 9.1.
func (b *Builder) Resolve(dependency Index, uri string, digest verify.Digest, size int64) {
	if digest.IsZero() || size <= 0 {
		b.fail(fmt.Errorf("dependency at index %d: %w: no digest or no size", dependency, manifest.ErrMalformed))
		return
	}
	b.Add(manifest.SectionShared, dependency, override(&manifest.Parameters{ImageDigest: &digest}))
	b.Add(manifest.SectionDependencyResolution, dependency, override(&manifest.Parameters{URI: &uri, ImageSize: new(uint64(size))}),
		manifest.Command{Code: manifest.DirectiveFetch, Policy: reportFailures})
	b.Process(dependency, manifest.SectionDependencyResolution)
}

// IntegrateDependency is Resolve for a dependency that the envelope carries under uri. Its manifest digest
// is read from it.
//
// draft-ietf-suit-trust-domains-12, section 9.1.1.
func (b *Builder) IntegrateDependency(dependency Index, uri string, envelope []byte) {
	u, err := b.Options.InspectBytes(envelope)
	if err != nil {
		b.fail(fmt.Errorf("dependency at index %d: %w", dependency, err))
		return
	}
	b.Resolve(dependency, uri, u.Digest(), int64(len(envelope)))
	b.Payload(uri, envelope)
}

// Process has a dependency checked and then processed in each of sections.
func (b *Builder) Process(dependency Index, sections ...manifest.Section) {
	for _, s := range sections {
		b.Add(s, dependency, manifest.Command{Code: manifest.ConditionDependencyIntegrity, Policy: reportAlways},
			manifest.Command{Code: manifest.DirectiveProcessDependency})
	}
}

// Uninstall unlinks a component or dependency in the uninstall section.
//
// draft-ietf-suit-trust-domains-12, section 7.
func (b *Builder) Uninstall(at Index) {
	b.Add(manifest.SectionUninstall, at, manifest.Command{Code: manifest.DirectiveUnlink})
}
