// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/firmament-dev/firmament/fetch"
)

func ExampleRemote_Get() {
	// Usually httpsource.New(nil).
	source := &server{files: map[string]file{
		"https://repo.example/metadata/timestamp.json": {[]byte(`{"signed":{}}`), ""},
	}}
	remote, err := fetch.NewRemote(fetch.Options{Source: source}, "https://repo.example/metadata")
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := remote.Get(context.Background(), "timestamp.json", 16<<10)
	fmt.Println(string(data), err)
	_, err = remote.Get(context.Background(), "2.root.json", 16<<10)
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output:
	// {"signed":{}} <nil>
	// true
}
