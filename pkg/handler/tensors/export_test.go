package tensors

// For tests, what reads and writes foreign bytes.
var (
	ReadNPY  = readNPY
	WriteNPY = writeNPY
	Convert  = convert
)
