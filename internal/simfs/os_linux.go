// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import "os"

// Without O_CREATE, O_EXCL on a block device claims it (open(2)).
const openExclusive = os.O_EXCL
