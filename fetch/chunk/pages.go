// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package chunk

import (
	"io"

	"github.com/firmament-dev/firmament/fetch"
)

// Pages returns the pages of a page file that is at hand, for fetch.NewTree. It need not be trusted.
func Pages(file io.ReaderAt) fetch.PageReader { return pagesAt{file} }
