package library

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
)

var (
	missingSymbolVersion = regexp.MustCompile("version [`']((GLIBCXX|CXXABI|GLIBC)_[0-9.]+)' not found")
	missingLibrary       = regexp.MustCompile(`(\S+): cannot open shared object file`)
	versionedSymbol      = regexp.MustCompile(`undefined symbol: [^\s,]+, version ((GLIBCXX|CXXABI|GLIBC)_[0-9.]+)`)
	missingSymbol        = regexp.MustCompile(`undefined symbol: ([^\s,]+)`)
)

// entry is the symbol by which ONNX Runtime is entered.
const entry = "OrtGetApiBase"

// Explain returns what the loader's message about the library at path means, and what to do. Its kind is
// [fault.Unsupported].
func Explain(path, message string) error {
	return fmt.Errorf("ONNX Runtime library %s cannot be opened: %w: %s", path, fault.Unsupported, meaning(message))
}

func meaning(message string) string {
	if strings.Contains(message, "undefined symbol: "+entry) {
		return "it is another library: ONNX Runtime has the symbol " + entry
	}
	for _, pattern := range []*regexp.Regexp{missingSymbolVersion, versionedSymbol} {
		if found := pattern.FindStringSubmatch(message); found != nil {
			return missing(found[1], found[2])
		}
	}
	if found := missingLibrary.FindStringSubmatch(message); found != nil {
		return fmt.Sprintf("it needs %s, which is not on this machine: install it (%s), or name another library with --onnxruntime", found[1], packageOf(found[1]))
	}
	if found := missingSymbol.FindStringSubmatch(message); found != nil {
		return fmt.Sprintf("it needs the symbol %s, which nothing on this machine has: name a library built for this system with --onnxruntime", found[1])
	}
	return message
}

// missing answers the message that a system older than the library's makes its users read.
func missing(version, family string) string {
	if family == "GLIBC" {
		return fmt.Sprintf("it needs %s, which this system's C library is too old for: run on a newer distribution, or name an older ONNX Runtime, %s or newer, with --onnxruntime",
			version, MinVersion)
	}
	return fmt.Sprintf("it needs %s, which the libstdc++.so.6 found on this machine lacks: update it (package libstdc++6 or libstdc++), "+
		"take an older copy, such as conda's, out of LD_LIBRARY_PATH, or name another library with --onnxruntime", version)
}

func packageOf(library string) string {
	switch library {
	case "libstdc++.so.6":
		return "package libstdc++6 or libstdc++"
	case "libgcc_s.so.1":
		return "package libgcc-s1 or libgcc"
	case "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libc.so.6":
		return "glibc: distributions on musl, such as Alpine, lack it"
	}
	return "the package that holds it"
}
