package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const caseLimit = 30 * time.Second

var cases = map[string]func(context.Context, *grpc.ClientConn) error{
	"unary":         unary,
	"metadata":      sendsMetadata,
	"details":       details,
	"late-error":    lateError,
	"deadline":      deadline,
	"cancel":        cancel,
	"large":         large,
	"gzip":          gzip,
	"half-close":    halfClose,
	"slow-reader":   slowReader,
	"bulk":          bulk,
	"many":          many,
	"early-answer":  earlyAnswer,
	"unimplemented": unimplemented,
	"health":        health,
	"vanish":        vanish,
	"drain":         drain,
}

func runCase(socket, name string) error {
	run, ok := cases[name]
	if !ok {
		return fmt.Errorf("unknown case %q", name)
	}
	connection, err := grpc.NewClient("unix:"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, stop := context.WithTimeout(context.Background(), caseLimit)
	defer stop()
	return run(ctx, connection)
}

// call makes a unary call.
func call(ctx context.Context, connection *grpc.ClientConn, path string, request []byte, options ...grpc.CallOption) ([]byte, error) {
	var response []byte
	err := connection.Invoke(ctx, path, &request, &response, options...)
	return response, err
}

func open(ctx context.Context, connection *grpc.ClientConn, path string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	return connection.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, path, options...)
}

func receive(stream grpc.ClientStream) ([]byte, error) {
	var message []byte
	err := stream.RecvMsg(&message)
	return message, err
}

// expect compares the status of err.
func expect(err error, code codes.Code, message string) error {
	got := status.Convert(err)
	if got.Code() != code || (message != "" && got.Message() != message) {
		return fmt.Errorf("got %s %q, want %s %q", got.Code(), got.Message(), code, message)
	}
	return nil
}

func unary(ctx context.Context, connection *grpc.ClientConn) error {
	response, err := call(ctx, connection, "/gitaly.CommitService/FindCommit", nil)
	if err != nil {
		return err
	}
	if !bytes.Contains(response, []byte("abc")) {
		return fmt.Errorf("unexpected response %q", response)
	}
	return nil
}

func sendsMetadata(ctx context.Context, connection *grpc.ClientConn) error {
	ctx = metadata.AppendToOutgoingContext(ctx, "x-id", "1", "x-id", "2", "x-raw-bin", "\x00\xff\x01")
	var trailer metadata.MD
	if _, err := call(ctx, connection, "/peer.Test/Metadata", nil, grpc.Trailer(&trailer)); err != nil {
		return err
	}
	if got := fmt.Sprintf("%q %q", trailer.Get("x-echo"), trailer.Get("x-echo-bin")); got != `["1" "2"] ["\x00\xff\x01"]` {
		return fmt.Errorf("unexpected trailers %s", got)
	}
	return nil
}

func details(ctx context.Context, connection *grpc.ClientConn) error {
	_, err := call(ctx, connection, "/peer.Test/Fail", nil)
	if err := expect(err, codes.NotFound, "grün: 100%"); err != nil {
		return err
	}
	packed := status.Convert(err).Proto().GetDetails()
	if len(packed) != 1 || packed[0].GetTypeUrl() != "type.googleapis.com/gitaly.LimitError" {
		return fmt.Errorf("unexpected details %v", packed)
	}
	return nil
}

func lateError(ctx context.Context, connection *grpc.ClientConn) error {
	stream, err := open(ctx, connection, "/peer.Test/FailLate")
	if err != nil {
		return err
	}
	if message, err := receive(stream); err != nil || string(message) != "first" {
		return fmt.Errorf("first message: %q, %w", message, err)
	}
	_, err = receive(stream)
	return expect(err, codes.Aborted, "late")
}

func deadline(ctx context.Context, connection *grpc.ClientConn) error {
	ctx, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	_, err := call(ctx, connection, "/peer.Test/Wait", nil)
	return expect(err, codes.DeadlineExceeded, "")
}

func cancel(ctx context.Context, connection *grpc.ClientConn) error {
	ctx, stop := context.WithCancel(ctx)
	time.AfterFunc(50*time.Millisecond, stop)
	_, err := call(ctx, connection, "/peer.Test/Wait", nil)
	return expect(err, codes.Canceled, "context canceled")
}

func large(ctx context.Context, connection *grpc.ClientConn) error {
	if response, err := call(ctx, connection, "/peer.Test/Echo", make([]byte, 4_194_304)); err != nil || len(response) != 4_194_304 {
		return fmt.Errorf("at the limit: %d bytes, %w", len(response), err)
	}
	_, err := call(ctx, connection, "/peer.Test/Echo", make([]byte, 4_194_305))
	if err := expect(err, codes.ResourceExhausted, "grpc: received message larger than max (4194305 vs. 4194304)"); err != nil {
		return err
	}
	_, err = call(ctx, connection, "/peer.Test/Large", nil)
	if err := expect(err, codes.ResourceExhausted, "grpc: received message larger than max (5000000 vs. 4194304)"); err != nil {
		return err
	}
	return unary(ctx, connection) // the connection has survived
}

func gzip(ctx context.Context, connection *grpc.ClientConn) error {
	request := bytes.Repeat([]byte("gzip me "), 10_000)
	response, err := call(ctx, connection, "/peer.Test/Echo", request, grpc.UseCompressor("gzip"))
	if err != nil || !bytes.Equal(response, request) {
		return fmt.Errorf("%d bytes, %w", len(response), err)
	}
	return nil
}

func halfClose(ctx context.Context, connection *grpc.ClientConn) error {
	stream, err := open(ctx, connection, "/peer.Test/Echo")
	if err != nil {
		return err
	}
	const count = 1000
	for i := range count {
		message := []byte(fmt.Sprint(i))
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for i := range count {
		if message, err := receive(stream); err != nil || string(message) != fmt.Sprint(i) {
			return fmt.Errorf("message %d: %q, %w", i, message, err)
		}
	}
	if _, err := receive(stream); !errors.Is(err, io.EOF) {
		return fmt.Errorf("at the end: %w", err)
	}
	return nil
}

// slowReader reads one message and then nothing; the server's side checks that it stops producing.
func slowReader(ctx context.Context, connection *grpc.ClientConn) error {
	stream, err := open(ctx, connection, "/peer.Test/Flood")
	if err != nil {
		return err
	}
	if _, err := receive(stream); err != nil {
		return err
	}
	time.Sleep(500 * time.Millisecond)
	return nil
}

// bulk sends and receives enough for grpc-go to ping for its window estimate many times.
func bulk(ctx context.Context, connection *grpc.ClientConn) error {
	const chunks, chunkBytes = 800, 128 << 10
	stream, err := open(ctx, connection, "/peer.Test/Echo")
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		message := make([]byte, chunkBytes)
		for range chunks {
			if err := stream.SendMsg(&message); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	total := 0
	for {
		message, err := receive(stream)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		total += len(message)
	}
	if total != chunks*chunkBytes {
		return fmt.Errorf("got %d bytes", total)
	}
	return <-sent
}

func many(ctx context.Context, connection *grpc.ClientConn) error {
	var group sync.WaitGroup
	failures := make(chan error, 200)
	for range 200 {
		group.Add(1)
		go func() {
			defer group.Done()
			for range 20 {
				if err := unary(ctx, connection); err != nil {
					failures <- err
					return
				}
			}
		}()
	}
	group.Wait()
	close(failures)
	return <-failures
}

// earlyAnswer keeps sending to a server that has answered.
func earlyAnswer(ctx context.Context, connection *grpc.ClientConn) error {
	stream, err := open(ctx, connection, "/peer.Test/Early")
	if err != nil {
		return err
	}
	message := make([]byte, 100_000)
	for {
		if err := stream.SendMsg(&message); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
	}
	_, err = receive(stream)
	return expect(err, codes.InvalidArgument, "not a word more")
}

func unimplemented(ctx context.Context, connection *grpc.ClientConn) error {
	for path, message := range map[string]string{
		"/gitaly.X/Y":                         "unknown service gitaly.X",
		"/gitaly.CommitService/Y":             "unknown method Y for service gitaly.CommitService",
		"/gitaly.CommitService/CountCommits":  "unknown method CountCommits for service gitaly.CommitService",
		"/gitaly.PraefectInfoService/SetLast": "unknown service gitaly.PraefectInfoService",
	} {
		_, err := call(ctx, connection, path, nil)
		if err := expect(err, codes.Unimplemented, message); err != nil {
			return err
		}
	}
	return nil
}

func health(ctx context.Context, connection *grpc.ClientConn) error {
	response, err := call(ctx, connection, "/grpc.health.v1.Health/Check", nil)
	if err != nil || !bytes.Equal(response, []byte{8, 1}) {
		return fmt.Errorf("%x, %w", response, err)
	}
	return nil
}

// vanish dies without a word in the middle of a stream.
func vanish(ctx context.Context, connection *grpc.ClientConn) error {
	stream, err := open(ctx, connection, "/peer.Test/Flood")
	if err != nil {
		return err
	}
	if _, err := receive(stream); err != nil {
		return err
	}
	os.Exit(0)
	return nil
}

// drain has a call running while the server stops gracefully.
func drain(ctx context.Context, connection *grpc.ClientConn) error {
	stream, err := open(ctx, connection, "/peer.Test/Drain")
	if err != nil {
		return err
	}
	for i := range 10 {
		message := []byte(fmt.Sprint(i))
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
		if got, err := receive(stream); err != nil || string(got) != string(message) {
			return fmt.Errorf("message %d: %q, %w", i, got, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err := receive(stream); !errors.Is(err, io.EOF) {
		return fmt.Errorf("at the end: %w", err)
	}
	_, err = call(ctx, connection, "/peer.Test/Echo", nil)
	return expect(err, codes.Unavailable, "")
}
