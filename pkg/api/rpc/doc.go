// Package rpc is the gRPC side of the APIs: TorchServe's inference and management services under their names and numbers,
// the Open Inference Protocol, health and reflection. The services say what the HTTP APIs say: they ask and are answered
// through the same code, and [Server] gives every call its ID, its access line and the status of its failure.
//
// An explanation is asked for by the metadata tsgo-mode, which is predict or explain, for every service that asks models;
// TorchServe has no way to ask for one. The parameters of a method or a handler stand among the inputs of a prediction, as
// they do in a form over HTTP, and among the parameters of a ModelInfer. Other metadata is what headers are over HTTP.
//
// Where TorchServe answers with the status UNKNOWN or INTERNAL although the caller is to blame, the status says what is
// wrong. Its second line, the name of a Java class, stands as the reason of a google.rpc.ErrorInfo instead.
package rpc

//go:generate go tool -modfile=../../../scripts/tools/proto/go.mod buf generate
