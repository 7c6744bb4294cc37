package api

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// The codings of bodies that are known.
const (
	codingGzip    = "gzip"
	codingDeflate = "deflate"
)

// uncoded has a body that is compressed by gzip or deflate read as what it holds, of which no more than limit bytes are
// taken, where that is not 0: few bytes may hold many. Who reads it finds no coding. Another coding is left as it is.
func uncoded(r *http.Request, limit int64) {
	var open func(io.Reader) (io.ReadCloser, error)
	switch strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))) {
	case codingGzip, "x-gzip":
		open = func(in io.Reader) (io.ReadCloser, error) { return gzip.NewReader(in) }
	case codingDeflate:
		open = inflate
	default:
		return
	}
	r.Header.Del("Content-Encoding")
	r.Header.Del("Content-Length")
	r.ContentLength = -1
	r.Body = &codedBody{ReadCloser: r.Body, open: open, limit: limit}
}

// inflate reads what is called deflate: as it should be, with a header and a checksum, or as some send it, without.
func inflate(in io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReader(in)
	head, err := buffered.Peek(2)
	if err != nil {
		return nil, err //nolint:wrapcheck // BodyError knows it
	}
	if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(buffered) //nolint:wrapcheck // of a body
	}
	return flate.NewReader(buffered), nil
}

// codedBody is a body that is decompressed as it is read.
type codedBody struct {
	io.ReadCloser // of what comes

	open  func(io.Reader) (io.ReadCloser, error)
	plain io.ReadCloser // nil: nothing has been read
	limit int64
	read  int64
	err   error // that ended it
}

// Read reads a part of what the body holds. Its errors are those of a body: [http.MaxBytesError] over the limit.
func (b *codedBody) Read(p []byte) (int, error) {
	if b.err == nil && b.plain == nil {
		b.plain, b.err = b.open(b.ReadCloser)
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.plain.Read(p)
	b.read += int64(n)
	switch {
	case b.limit > 0 && b.read > b.limit:
		n -= int(min(b.read-b.limit, int64(n)))
		err = &http.MaxBytesError{Limit: b.limit}
	case errors.Is(err, io.EOF): // only behind the end of a body does net/http notice that its caller has gone
		if _, failed := io.Copy(io.Discard, b.ReadCloser); failed != nil {
			err = failed
		}
	}
	b.err = err
	return n, err //nolint:wrapcheck // io.EOF among them
}

// worthIt is from how many bytes on an answer is compressed.
const worthIt = 1024

// WriteCoded writes an answer in its parts, whose other headers are set, compressed where it is large enough and the caller
// takes gzip or deflate.
func WriteCoded(w http.ResponseWriter, r *http.Request, parts ...[]byte) {
	header, size := w.Header(), 0
	for _, part := range parts {
		size += len(part)
	}
	header.Add("Vary", "Accept-Encoding")
	if coding := accepted(r.Header.Values("Accept-Encoding")); coding != "" && size >= worthIt {
		header.Set("Content-Encoding", coding)
		parts = [][]byte{compress(coding, parts)}
		size = len(parts[0])
	}
	header.Set("Content-Length", strconv.Itoa(size))
	w.WriteHeader(http.StatusOK)
	for _, part := range parts {
		_, _ = w.Write(part) // a caller that has gone needs no answer
	}
}

// compress is quick rather than thorough: the answer is waited for.
func compress(coding string, parts [][]byte) []byte {
	var out bytes.Buffer
	var w io.WriteCloser
	if coding == codingGzip {
		w, _ = gzip.NewWriterLevel(&out, gzip.BestSpeed) // a level that is known
	} else {
		w, _ = zlib.NewWriterLevel(&out, zlib.BestSpeed)
	}
	for _, part := range parts {
		_, _ = w.Write(part) // a buffer takes everything
	}
	_ = w.Close()
	return out.Bytes()
}

// accepted returns the coding that a caller takes by its Accept-Encoding headers; "": none. What it names with a weight of 0
// it does not take, and * says nothing here: who did not think of a coding may not know it.
func accepted(headers []string) string {
	taken := map[string]bool{}
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		coding, weight, _ := strings.Cut(part, ";")
		_, value, _ := strings.Cut(weight, "=")
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		taken[strings.ToLower(strings.TrimSpace(coding))] = err != nil || q > 0
	}
	switch {
	case taken[codingGzip]:
		return codingGzip
	case taken[codingDeflate]:
		return codingDeflate
	}
	return ""
}
