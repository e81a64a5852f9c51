// Lists archives as Go's archive/tar reads them. The argument names a file with many archives, each after its length as
// four bytes, big end first. Prints a line for each archive, `archive` or `error`, before it the lines of its entries.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

var kinds = map[byte]string{
	tar.TypeReg: "file", tar.TypeLink: "hardlink", tar.TypeSymlink: "symlink", tar.TypeChar: "character",
	tar.TypeBlock: "block", tar.TypeDir: "directory", tar.TypeFifo: "fifo",
}

func list(archive []byte, out io.Writer) error {
	reader := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		kind, known := kinds[header.Typeflag]
		if !known {
			kind = fmt.Sprintf("type-%d", header.Typeflag)
		}
		content := sha256.New()
		if _, err := io.Copy(content, reader); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s %o %d %d %d %d %x %x %x\n", kind, header.Mode&0o7777, header.Uid, header.Gid,
			header.Size, header.ModTime.Unix(), content.Sum(nil), header.Name, header.Linkname)
	}
}

func main() {
	input, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for len(input) > 0 {
		length := binary.BigEndian.Uint32(input)
		archive := input[4 : 4+length]
		input = input[4+length:]
		if err := list(archive, out); err != nil {
			fmt.Fprintf(out, "error %q\n", err)
		} else {
			fmt.Fprintln(out, "archive")
		}
	}
}
