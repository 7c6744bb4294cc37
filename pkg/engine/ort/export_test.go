//go:build cgo

package ort

// Numbers are what the package takes for granted of the library's interface, by their names there.
func Numbers() map[string]int {
	return map[string]int{
		"ORT_API_VERSION":                apiVersion,
		"ORT_FAIL":                       int(codeFail),
		"ORT_INVALID_ARGUMENT":           int(codeInvalidArgument),
		"ORT_NO_SUCHFILE":                int(codeNoSuchFile),
		"ORT_NO_MODEL":                   int(codeNoModel),
		"ORT_RUNTIME_EXCEPTION":          int(codeRuntimeException),
		"ORT_INVALID_PROTOBUF":           int(codeInvalidProtobuf),
		"ORT_NOT_IMPLEMENTED":            int(codeNotImplemented),
		"ORT_INVALID_GRAPH":              int(codeInvalidGraph),
		"ORT_MODEL_LOAD_CANCELED":        int(codeLoadCanceled),
		"ORT_MODEL_REQUIRES_COMPILATION": int(codeNeedsCompilation),
		// In shim.c:
		"OrtArenaAllocator":                    1,
		"OrtMemTypeDefault":                    0,
		"ONNX_TYPE_TENSOR":                     1,
		"ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING": 8,
		"ORT_LOGGING_LEVEL_FATAL":              4,
	}
}
