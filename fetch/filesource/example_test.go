// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package filesource_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/firmament-dev/firmament/fetch/filesource"
)

// A stick has what the server has, at the same paths. A fetch.Fetcher reads from it as from a server, and believes it as little.
func Example() {
	dir, err := os.MkdirTemp("", "stick") // such as /media/usb
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "image.bin"), []byte("firmware"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer root.Close()
	source, err := filesource.New(root.FS(), "https://fw.example/")
	if err != nil {
		fmt.Println(err)
		return
	}
	stream, err := source.Open(context.Background(), "https://fw.example/image.bin", 4, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stream.Body.Close()
	rest, err := io.ReadAll(stream.Body)
	fmt.Println(string(rest), stream.Size, err)
	// Output: ware 8 <nil>
}
