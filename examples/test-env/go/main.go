// Calls a test server with the Go client of Gitaly: go run . ADDRESS TOKEN
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	gitalyauth "gitlab.com/gitlab-org/gitaly/v16/auth"
	"gitlab.com/gitlab-org/gitaly/v16/client"
	"gitlab.com/gitlab-org/gitaly/v16/proto/go/gitalypb"
	"google.golang.org/grpc"
)

func main() {
	ctx := context.Background()
	token := grpc.WithPerRPCCredentials(gitalyauth.RPCCredentialsV2(os.Args[2]))
	conn, err := client.DialContext(ctx, os.Args[1], []grpc.DialOption{token})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	repositories := gitalypb.NewRepositoryServiceClient(conn)
	repository := &gitalypb.Repository{StorageName: "default", RelativePath: "go.git"}
	if _, err := repositories.CreateRepository(ctx, &gitalypb.CreateRepositoryRequest{Repository: repository}); err != nil {
		log.Fatal(err)
	}
	answer, err := repositories.RepositoryExists(ctx, &gitalypb.RepositoryExistsRequest{Repository: repository})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("exists:", answer.GetExists())
}
