// Package main is grpc-go as an independent peer of our gRPC layer, in both roles. Messages stay bytes, so nothing is generated.
package main

import "fmt"

// rawCodec hands messages on as they are; it takes the place of the protobuf codec under its name.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(value any) ([]byte, error) {
	message, ok := value.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("not a raw message: %T", value)
	}
	return *message, nil
}

func (rawCodec) Unmarshal(data []byte, value any) error {
	message, ok := value.(*[]byte)
	if !ok {
		return fmt.Errorf("not a raw message: %T", value)
	}
	*message = append([]byte(nil), data...)
	return nil
}
