package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type peer struct {
	server   *grpc.Server
	aborted  atomic.Int64
	produced atomic.Int64
}

func runServer(socket string) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	p := &peer{}
	p.server = grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(p.handle))
	fmt.Println("ready")
	return p.server.Serve(listener)
}

func (p *peer) handle(_ any, stream grpc.ServerStream) error {
	path, _ := grpc.MethodFromServerStream(stream)
	switch strings.TrimPrefix(path, "/peer.Test/") {
	case "Echo":
		return echo(stream)
	case "Metadata":
		incoming, _ := metadata.FromIncomingContext(stream.Context())
		if err := stream.SetHeader(metadata.Pairs("x-header", strings.Join(incoming.Get("x-id"), "|"))); err != nil {
			return err
		}
		stream.SetTrailer(metadata.Pairs("x-raw-bin", strings.Join(incoming.Get("x-raw-bin"), "")))
		return send(stream, []byte("done"))
	case "Fail":
		withDetails, err := status.New(codes.NotFound, "grün: 100%").WithDetails(wrapperspb.String("detail"))
		if err != nil {
			return err
		}
		return withDetails.Err()
	case "FailLate":
		if err := send(stream, []byte("first")); err != nil {
			return err
		}
		return status.Error(codes.Aborted, "late")
	case "Wait":
		<-stream.Context().Done()
		p.aborted.Add(1)
		return stream.Context().Err()
	case "Flood":
		for {
			if err := send(stream, make([]byte, 100_000)); err != nil {
				p.aborted.Add(1)
				return err
			}
			p.produced.Add(1)
		}
	case "Counters":
		return send(stream, []byte(fmt.Sprintf(`{"aborted":%d,"produced":%d}`, p.aborted.Load(), p.produced.Load())))
	case "Gzip":
		if err := grpc.SetSendCompressor(stream.Context(), "gzip"); err != nil {
			return err
		}
		return send(stream, make([]byte, 1_000_000))
	case "Large":
		return send(stream, make([]byte, 5_000_000))
	case "Nothing":
		return nil
	case "Early":
		return status.Error(codes.InvalidArgument, "not a word more")
	case "Exit":
		if err := send(stream, []byte("bye")); err != nil {
			return err
		}
		os.Exit(3)
	case "Drain":
		go p.server.GracefulStop()
		return echo(stream)
	}
	return status.Errorf(codes.Unimplemented, "unknown method %s", path)
}

func echo(stream grpc.ServerStream) error {
	for {
		var message []byte
		err := stream.RecvMsg(&message)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := send(stream, message); err != nil {
			return err
		}
	}
}

func send(stream grpc.ServerStream, message []byte) error {
	return stream.SendMsg(&message)
}
