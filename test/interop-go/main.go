// Command interop runs the real Go client of Gitaly against a server that somebody else started.
//
//	interop checks       calls of every kind; one "ok NAME" or "not ok NAME: why" line each, exit code 1 if one failed
//	interop transport M  speaks git's native protocol on stdin and stdout (git's ext:: transport), M one of
//	                     upload-pack, upload-pack-sidechannel, receive-pack
//
// Environment: ADDRESS, TOKEN, STORAGE, REPOSITORY (relative path), COMMIT and BLOB (object ids that exist there),
// GIT_PROTOCOL, SSL_CERT_FILE (for tls:// addresses).
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sirupsen/logrus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

const callLimit = 30 * time.Second

func main() {
	if len(os.Args) == 3 && os.Args[1] == "transport" {
		code, err := transport(os.Args[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, "interop:", err)
			os.Exit(1)
		}
		os.Exit(int(code))
	}
	if len(os.Args) == 2 && os.Args[1] == "checks" {
		os.Exit(runChecks())
	}
	fmt.Fprintln(os.Stderr, "usage: interop checks | interop transport upload-pack|upload-pack-sidechannel|receive-pack")
	os.Exit(2)
}

func address() string { return os.Getenv("ADDRESS") }

func target(relativePath string) *repository {
	return &repository{StorageName: os.Getenv("STORAGE"), RelativePath: relativePath, GlRepository: "project-1", GlProjectPath: "group/project"}
}

func theRepository() *repository { return target(os.Getenv("REPOSITORY")) }

func withToken() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithPerRPCCredentials(rpcCredentials(os.Getenv("TOKEN")))}
}

func newRegistry() registry { return newSidechannelRegistry(logrus.NewEntry(logrus.New())) }

func transport(mode string) (int32, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	protocol := os.Getenv("GIT_PROTOCOL")
	switch mode {
	case "upload-pack":
		conn, err := dialContext(ctx, address(), withToken())
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		return uploadPack(ctx, conn, os.Stdin, os.Stdout, os.Stderr, &uploadPackRequest{Repository: theRepository(), GitProtocol: protocol})
	case "upload-pack-sidechannel":
		registry := newRegistry()
		conn, err := dialSidechannel(ctx, address(), registry, withToken())
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		request := &uploadPackSidechannelRequest{Repository: theRepository(), GitProtocol: protocol}
		return uploadPackWithSidechannel(ctx, conn, registry, os.Stdin, os.Stdout, os.Stderr, request)
	case "receive-pack":
		conn, err := dialContext(ctx, address(), withToken())
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		request := &receivePackRequest{Repository: theRepository(), GlId: "user-1", GlRepository: "project-1", GlUsername: "ann", GitProtocol: protocol}
		return receivePack(ctx, conn, os.Stdin, os.Stdout, os.Stderr, request)
	}
	return 0, fmt.Errorf("unknown mode %q", mode)
}

type check struct {
	name string
	run  func(context.Context) error
}

func runChecks() int {
	failed := 0
	for _, c := range checks() {
		ctx, cancel := context.WithTimeout(context.Background(), callLimit)
		if err := c.run(ctx); err != nil {
			failed++
			fmt.Printf("not ok %s: %v\n", c.name, err)
		} else {
			fmt.Printf("ok %s\n", c.name)
		}
		cancel()
	}
	fmt.Printf("client %s: %d failed\n", clientVersion, failed)
	if failed > 0 {
		return 1
	}
	return 0
}

func checks() []check {
	return []check{
		{"a call without a token is refused", checkNoToken},
		{"a call with a wrong token is refused", checkWrongToken},
		{"health answers without a token", checkHealth},
		{"the health-checking dialer connects", checkHealthDialer},
		{"the pool shares a connection", checkPool},
		{"CreateRepository creates, and refuses a second time", checkCreateRepository},
		{"FindCommit finds a commit", checkFindCommit},
		{"FindCommit on a missing repository is NotFound", checkMissingRepository},
		{"GetBlob streams a blob", checkGetBlob},
		{"InfoRefsUploadPack advertises", checkInfoRefs},
		{"PostUploadPackWithSidechannel sends a pack", checkPostUploadPack},
		{"two sidechannels on one connection work at once", checkTwoSidechannels},
		{"a cancelled stream ends as cancelled", checkCancel},
		{"a deadline in the past ends as deadline exceeded", checkDeadline},
	}
}

func withConnection(ctx context.Context, options []grpc.DialOption, run func(*grpc.ClientConn) error) error {
	conn, err := dialContext(ctx, address(), options)
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	defer conn.Close()
	return run(conn)
}

func wantCode(err error, want codes.Code) error {
	if got := status.Code(err); got != want {
		return fmt.Errorf("want %s, got %s (%v)", want, got, err)
	}
	return nil
}

func checkNoToken(ctx context.Context) error {
	return withConnection(ctx, nil, func(conn *grpc.ClientConn) error {
		_, err := newCommitServiceClient(conn).FindCommit(ctx, &findCommitRequest{Repository: theRepository(), Revision: []byte("HEAD")})
		return wantCode(err, codes.Unauthenticated)
	})
}

func checkWrongToken(ctx context.Context) error {
	options := []grpc.DialOption{grpc.WithPerRPCCredentials(rpcCredentials("wrong"))}
	return withConnection(ctx, options, func(conn *grpc.ClientConn) error {
		_, err := newCommitServiceClient(conn).FindCommit(ctx, &findCommitRequest{Repository: theRepository(), Revision: []byte("HEAD")})
		return wantCode(err, codes.PermissionDenied)
	})
}

func checkHealth(ctx context.Context) error {
	return withConnection(ctx, nil, func(conn *grpc.ClientConn) error {
		answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			return err
		}
		if answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			return fmt.Errorf("status %s", answer.GetStatus())
		}
		return nil
	})
}

func checkHealthDialer(ctx context.Context) error {
	conn, err := healthCheckDialer(dialContext)(ctx, address(), withToken())
	if err != nil {
		return err
	}
	return conn.Close()
}

func checkPool(ctx context.Context) error {
	pool := newPool(withDialer(healthCheckDialer(dialContext)))
	defer pool.Close()
	first, err := pool.Dial(ctx, address(), os.Getenv("TOKEN"))
	if err != nil {
		return err
	}
	second, err := pool.Dial(ctx, address(), os.Getenv("TOKEN"))
	if err != nil {
		return err
	}
	if first != second {
		return errors.New("two connections for one address and token")
	}
	_, err = newRepositoryServiceClient(first).RepositoryExists(ctx, &repositoryExistsRequest{Repository: theRepository()})
	return err
}

func checkCreateRepository(ctx context.Context) error {
	return withConnection(ctx, withToken(), func(conn *grpc.ClientConn) error {
		created := target(fmt.Sprintf("interop/%s-%d.git", clientVersion, time.Now().UnixNano()))
		repositories := newRepositoryServiceClient(conn)
		if _, err := repositories.CreateRepository(ctx, &createRepositoryRequest{Repository: created, DefaultBranch: []byte("trunk")}); err != nil {
			return err
		}
		answer, err := repositories.RepositoryExists(ctx, &repositoryExistsRequest{Repository: created})
		if err != nil || !answer.GetExists() {
			return fmt.Errorf("exists: %v, %w", answer.GetExists(), err)
		}
		_, err = repositories.CreateRepository(ctx, &createRepositoryRequest{Repository: created})
		return wantCode(err, codes.AlreadyExists)
	})
}

func checkFindCommit(ctx context.Context) error {
	return withConnection(ctx, withToken(), func(conn *grpc.ClientConn) error {
		answer, err := newCommitServiceClient(conn).FindCommit(ctx, &findCommitRequest{Repository: theRepository(), Revision: []byte("refs/heads/main")})
		if err != nil {
			return err
		}
		if got := answer.GetCommit().GetId(); got != os.Getenv("COMMIT") {
			return fmt.Errorf("commit %q", got)
		}
		return nil
	})
}

func checkMissingRepository(ctx context.Context) error {
	return withConnection(ctx, withToken(), func(conn *grpc.ClientConn) error {
		_, err := newCommitServiceClient(conn).FindCommit(ctx, &findCommitRequest{Repository: target("no/such.git"), Revision: []byte("HEAD")})
		return wantCode(err, codes.NotFound)
	})
}

func checkGetBlob(ctx context.Context) error {
	return withConnection(ctx, withToken(), func(conn *grpc.ClientConn) error {
		stream, err := newBlobServiceClient(conn).GetBlob(ctx, &getBlobRequest{Repository: theRepository(), Oid: os.Getenv("BLOB"), Limit: -1})
		if err != nil {
			return err
		}
		var size, got int64
		for {
			answer, err := stream.Recv()
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			if answer.GetOid() != "" {
				size = answer.GetSize()
			}
			got += int64(len(answer.GetData()))
		}
		if got == 0 || got != size {
			return fmt.Errorf("%d of %d bytes", got, size)
		}
		return nil
	})
}

func checkInfoRefs(ctx context.Context) error {
	return withConnection(ctx, withToken(), func(conn *grpc.ClientConn) error {
		stream, err := newSmartHTTPServiceClient(conn).InfoRefsUploadPack(ctx, &infoRefsRequest{Repository: theRepository()})
		if err != nil {
			return err
		}
		var all bytes.Buffer
		for {
			answer, err := stream.Recv()
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			all.Write(answer.GetData())
		}
		if !bytes.HasPrefix(all.Bytes(), []byte("001e# service=git-upload-pack\n0000")) || !bytes.Contains(all.Bytes(), []byte(os.Getenv("COMMIT"))) {
			return fmt.Errorf("advertisement %.80q", all.String())
		}
		return nil
	})
}

func checkPostUploadPack(ctx context.Context) error {
	return withSidechannels(ctx, func(conn *grpc.ClientConn, registry registry) error {
		return fetchPack(ctx, conn, registry)
	})
}

func checkTwoSidechannels(ctx context.Context) error {
	return withSidechannels(ctx, func(conn *grpc.ClientConn, registry registry) error {
		results := make(chan error, 2)
		for i := 0; i < 2; i++ {
			go func() { results <- fetchPack(ctx, conn, registry) }()
		}
		return errors.Join(<-results, <-results)
	})
}

func withSidechannels(ctx context.Context, run func(*grpc.ClientConn, registry) error) error {
	registry := newRegistry()
	conn, err := dialSidechannel(ctx, address(), registry, withToken())
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	defer conn.Close()
	return run(conn, registry)
}

// fetchPack asks for the commit as a stateless v0 client does and looks for the pack in the answer.
func fetchPack(ctx context.Context, conn *grpc.ClientConn, registry registry) error {
	var answer bytes.Buffer
	ctx, waiter := registry.Register(ctx, func(side sidechannelConn) error {
		want := fmt.Sprintf("want %s ofs-delta\n", os.Getenv("COMMIT"))
		if _, err := fmt.Fprintf(side, "%04x%s00000009done\n", len(want)+4, want); err != nil {
			return err
		}
		if err := side.CloseWrite(); err != nil {
			return err
		}
		_, err := io.Copy(&answer, side)
		return err
	})
	defer waiter.Close()
	if _, err := newSmartHTTPServiceClient(conn).PostUploadPackWithSidechannel(ctx, &postUploadPackSidechannel{Repository: theRepository()}); err != nil {
		return err
	}
	if err := waiter.Close(); err != nil {
		return err
	}
	if !bytes.HasPrefix(answer.Bytes(), []byte("0008NAK\nPACK")) {
		return fmt.Errorf("answer %.40q", answer.String())
	}
	return nil
}

func checkCancel(ctx context.Context) error {
	return withConnection(ctx, withToken(), func(conn *grpc.ClientConn) error {
		ctx, cancel := context.WithCancel(ctx)
		stream, err := newBlobServiceClient(conn).GetBlob(ctx, &getBlobRequest{Repository: theRepository(), Oid: os.Getenv("BLOB"), Limit: -1})
		if err != nil {
			cancel()
			return err
		}
		cancel()
		for {
			if _, err := stream.Recv(); err != nil {
				if err == io.EOF {
					return nil // all of it had arrived before the cancellation
				}
				return wantCode(err, codes.Canceled)
			}
		}
	})
}

func checkDeadline(ctx context.Context) error {
	return withConnection(ctx, withToken(), func(conn *grpc.ClientConn) error {
		ctx, cancel := context.WithDeadline(ctx, time.Now().Add(-time.Second))
		defer cancel()
		_, err := newCommitServiceClient(conn).FindCommit(ctx, &findCommitRequest{Repository: theRepository(), Revision: []byte("HEAD")})
		return wantCode(err, codes.DeadlineExceeded)
	})
}
