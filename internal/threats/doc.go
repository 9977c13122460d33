// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package threats is a test: each threat in required.txt has a test that names it. An id is named by the test's own
// name (TestCOS_08_11_Sign is about COS-08 and COS-11), by the name of a case ("COS-08 twice"), or by a
// comment "// covers: COS-08, REG-01". CONTRIBUTING.md says what the families are.
package threats
