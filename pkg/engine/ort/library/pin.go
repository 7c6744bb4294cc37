package library

// Version is the version of ONNX Runtime that is provided. It is the last one whose official builds for Linux and macOS
// carry no telemetry.
const Version = "1.28.0"

// pin is the library of one platform, and where it comes from. The release archive and the wheel hold different builds of
// it, so each has its hash.
type pin struct {
	file string // the library's name

	archive        string // the release archive's name
	archiveSHA256  string
	releasedSHA256 string // of the library in the archive

	platforms   []string // the wheel's platform tags, as pip takes them
	wheelBytes  int64
	wheelSHA256 string // of the library in the wheel
}

// pinFor returns the pin of a platform, or nil where none is provided.
func pinFor(os, arch string) *pin {
	switch os + "/" + arch {
	case "linux/amd64":
		return &pin{
			file:           "libonnxruntime.so." + Version,
			archive:        "onnxruntime-linux-x64-" + Version + ".tgz",
			archiveSHA256:  "a3e1b79d7bb1bf09696ce675f49e4064e6c81f6202b8225624fff0e93f8d6407",
			releasedSHA256: "1461ef7cc3d9e49982591721683cc3e3a55580aeca9a5254e7aac47b75ee4bab",
			platforms:      []string{"manylinux_2_27_x86_64", "manylinux_2_28_x86_64"},
			wheelBytes:     19_214_257,
			wheelSHA256:    "aa4079d18f4ea7a5f3a94d80cd4bbe0f2740436626622d64d793803a20381083",
		}
	case "linux/arm64":
		return &pin{
			file:           "libonnxruntime.so." + Version,
			archive:        "onnxruntime-linux-aarch64-" + Version + ".tgz",
			archiveSHA256:  "e15ff8b5d85afe6c144d97c6fd432254bf76a219daaf17658087d6ecb3e8f0bb",
			releasedSHA256: "f1ec1a08eb99bd6e5401340f0a2b101381bf4694415480291dc13bcaa30f9ec7",
			platforms:      []string{"manylinux_2_27_aarch64", "manylinux_2_28_aarch64"},
			wheelBytes:     17_050_628,
			wheelSHA256:    "23a37c2994bc273e1d59a4f49af6cba5bf1cfbc29f04907ec27df375aba50a7d",
		}
	case "darwin/arm64":
		return &pin{
			file:           "libonnxruntime." + Version + ".dylib",
			archive:        "onnxruntime-osx-arm64-" + Version + ".tgz",
			archiveSHA256:  "1268b359718099bde2cedb55787f182a130067bc4f31e8c88478c445b850d3d8",
			releasedSHA256: "dc19bbcb2f5c9fb3c68b4f9248aa0a35065ff702c5dbeae75eac54a74da97b6d",
			platforms:      []string{"macosx_14_0_arm64"},
			wheelBytes:     19_141_362,
			wheelSHA256:    "cadd9517e089d197e5d381bc31813875eb8addce8712bac501645fea8008800c",
		}
	case "windows/amd64":
		return &pin{
			file:           "onnxruntime.dll",
			archive:        "onnxruntime-win-x64-" + Version + ".zip",
			archiveSHA256:  "abef733dacbe2f571547a7150b479b5cb9cc0df22f96c24983a42cadb1b4f8bc",
			releasedSHA256: "18370c375f07357fa5874344a9d9ac17e6b6fe1eb18b1dd209d79483b4470257",
			platforms:      []string{"win_amd64"},
			wheelBytes:     13_755_036,
			wheelSHA256:    "3d6bd02dc137b9a1dfdac045a52b147ffb920bb06ab812b08fc8e14279859855",
		}
	}
	return nil
}
