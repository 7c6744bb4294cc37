package library

import (
	"bytes"
	"cmp"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
)

// MinVersion is the oldest ONNX Runtime that the binding can talk to.
const MinVersion = "1.24"

// Check returns nil when the file at path can be an ONNX Runtime library for this machine: one of its file format and its
// processor, and not too old as far as the file tells. It returns [fault.NotFound] when it is not there, [fault.Invalid]
// when it is no library, and [fault.Unsupported] when it is one for another machine or too old.
func Check(path string) error { return check(path, runtime.GOOS, runtime.GOARCH) }

func check(path, goos, arch string) error {
	f, err := os.Open(path)
	if err != nil {
		return readable(path, err)
	}
	defer f.Close() //nolint:errcheck // only read
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("ONNX Runtime library %s: %w: not a regular file", path, fault.Invalid)
	}
	var made build
	switch goos {
	case "windows":
		made, err = readPE(f)
	case "darwin":
		made, err = readMachO(f, arch)
	default:
		made, err = readELF(f)
	}
	if err != nil {
		return fmt.Errorf("ONNX Runtime library %s: %w: no shared library for %s: %w", path, fault.Invalid, goos, err)
	}
	if made.arch != arch {
		return fmt.Errorf("ONNX Runtime library %s: %w: it is for %s, this machine is %s: take the build for %s", path, fault.Unsupported, made.arch, arch, arch)
	}
	return CheckVersion(path, made.version)
}

// CheckVersion returns [fault.Unsupported] when version, such as "1.23.2", is too old for the binding. An empty version is
// one that is not known, and passes.
func CheckVersion(path, version string) error {
	if version != "" && compareVersions(version, MinVersion) < 0 {
		return fmt.Errorf("ONNX Runtime library %s: %w: version %s is too old, this program needs %s or newer: name a newer one with --onnxruntime, "+
			"or leave it out and %s is provided", path, fault.Unsupported, version, MinVersion, Version)
	}
	return nil
}

// build is what a file tells of the library in it.
type build struct {
	arch    string // as Go names it
	version string // empty when it does not tell
}

// readELF finds the version in the name of the version that all symbols have: VERS_1.28.0.
func readELF(f *os.File) (build, error) {
	e, err := elf.NewFile(f)
	if err != nil {
		return build{}, err
	}
	if e.Type != elf.ET_DYN {
		return build{}, fmt.Errorf("it is of type %v", e.Type)
	}
	known := map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}
	b := build{arch: cmp.Or(known[e.Machine], strings.ToLower(strings.TrimPrefix(e.Machine.String(), "EM_")))}
	versions, err := e.DynamicVersions()
	if err != nil {
		return b, nil //nolint:nilerr // a library need not have versions
	}
	for _, v := range versions {
		if version, ok := strings.CutPrefix(v.Name, "VERS_"); ok {
			b.version = version
		}
	}
	return b, nil
}

// readMachO finds the version where the library says which one it is. Of a universal file it reads the part for arch.
func readMachO(f *os.File, arch string) (build, error) {
	m, err := macho.NewFile(f)
	if err != nil {
		universal, fatErr := macho.NewFatFile(f)
		if fatErr != nil {
			return build{}, err
		}
		m = universal.Arches[0].File
		for _, part := range universal.Arches {
			if archOf(part.Cpu) == arch {
				m = part.File
			}
		}
	}
	b := build{arch: archOf(m.Cpu)}
	for _, load := range m.Loads {
		const idDylib, version = 0xd, 16 // LC_ID_DYLIB, and where its current version is
		raw := load.Raw()
		if len(raw) >= version+4 && m.ByteOrder.Uint32(raw) == idDylib {
			if packed := m.ByteOrder.Uint32(raw[version:]); packed != 0 {
				b.version = fmt.Sprintf("%d.%d.%d", packed>>16, packed>>8&0xff, packed&0xff)
			}
		}
	}
	return b, nil
}

func archOf(cpu macho.Cpu) string {
	return strings.ToLower(strings.TrimPrefix(cpu.String(), "Cpu"))
}

// readPE finds the version in the resource that Windows shows as file version.
func readPE(f *os.File) (build, error) {
	p, err := pe.NewFile(f)
	if err != nil {
		return build{}, err
	}
	b := build{arch: fmt.Sprintf("machine %#x", p.Machine)}
	switch p.Machine {
	case pe.IMAGE_FILE_MACHINE_AMD64:
		b.arch = "amd64"
	case pe.IMAGE_FILE_MACHINE_ARM64:
		b.arch = "arm64"
	}
	section := p.Section(".rsrc")
	if section == nil {
		return b, nil
	}
	data, err := section.Data()
	if err != nil {
		return b, err
	}
	// VS_FIXEDFILEINFO: signature, structure version, file version as minor, major, build, patch.
	if at := bytes.Index(data, []byte{0xbd, 0x04, 0xef, 0xfe}); at >= 0 && len(data) >= at+16 {
		number := func(offset int) uint16 { return binary.LittleEndian.Uint16(data[at+offset:]) }
		b.version = fmt.Sprintf("%d.%d.%d", number(10), number(8), number(14))
	}
	return b, nil
}

var versionPattern = regexp.MustCompile(`\d+\.\d+(\.\d+)?`)

// versionIn returns the version in a name such as libonnxruntime.so.1.28.0, or "".
func versionIn(name string) string {
	return versionPattern.FindString(name[strings.LastIndexByte(name, '/')+1:])
}

// compareVersions compares two versions number by number.
func compareVersions(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		m, _ := strconv.Atoi(x[i]) // what is no number is older than any
		n, _ := strconv.Atoi(y[i])
		if m != n {
			return m - n
		}
	}
	return len(x) - len(y)
}
