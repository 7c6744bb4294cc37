package rpc

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/tsgo/tsgo/pkg/api/rpc/openinferencepb"
)

// registerReflection has a server tell of its services, in both versions of the service that does so.
func registerReflection(s *grpc.Server) {
	opts := reflection.ServerOptions{Services: s, DescriptorResolver: newDescriptions()}
	reflectionpb.RegisterServerReflectionServer(s, reflection.NewServerV1(opts))
	reflectionalpha.RegisterServerReflectionServer(s, reflection.NewServer(opts))
}

// descriptions finds what is described of services: that which is generated, and the Open Inference Protocol under
// TorchServe's name, from which nothing is generated, as its messages are the same.
type descriptions struct{ renamed *protoregistry.Files }

func newDescriptions() descriptions {
	pkg := string(protoreflect.FullName(torchServeName).Parent())
	file := protodesc.ToFileDescriptorProto(openinferencepb.File_openinferencepb_open_inference_proto)
	from := "." + file.GetPackage() + "."
	file.Name, file.Package = proto.String("torchserve/"+file.GetName()), proto.String(pkg)
	rename := func(name *string) *string {
		if rest, ok := strings.CutPrefix(*name, from); ok {
			return proto.String("." + pkg + "." + rest)
		}
		return name
	}
	for _, service := range file.GetService() {
		for _, method := range service.GetMethod() {
			method.InputType, method.OutputType = rename(method.InputType), rename(method.OutputType)
		}
	}
	renameFields(file.GetMessageType(), rename)
	d := descriptions{renamed: &protoregistry.Files{}}
	described, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err == nil {
		err = d.renamed.RegisterFile(described)
	}
	if err != nil {
		panic(fmt.Sprintf("the protocol under TorchServe's name: %v", err)) // it differs from what is generated in names alone
	}
	return d
}

// renameFields renames the types of the fields of messages.
func renameFields(messages []*descriptorpb.DescriptorProto, rename func(*string) *string) {
	for _, message := range messages {
		for _, field := range message.GetField() {
			if field.TypeName != nil {
				field.TypeName = rename(field.TypeName)
			}
		}
		renameFields(message.GetNestedType(), rename)
	}
}

// FindFileByPath returns the description of a .proto file.
func (d descriptions) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	found, err := d.renamed.FindFileByPath(path)
	if errors.Is(err, protoregistry.NotFound) {
		found, err = protoregistry.GlobalFiles.FindFileByPath(path)
	}
	return found, err //nolint:wrapcheck // reflection compares it
}

// FindDescriptorByName returns the description of a service, a method, a message or a field.
func (d descriptions) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	found, err := d.renamed.FindDescriptorByName(name)
	if errors.Is(err, protoregistry.NotFound) {
		found, err = protoregistry.GlobalFiles.FindDescriptorByName(name)
	}
	return found, err //nolint:wrapcheck // reflection compares it
}
