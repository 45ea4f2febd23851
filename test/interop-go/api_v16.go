//go:build !v15

package main

import (
	gitalyauth "gitlab.com/gitlab-org/gitaly/v16/auth"
	"gitlab.com/gitlab-org/gitaly/v16/client"
	"gitlab.com/gitlab-org/gitaly/v16/proto/go/gitalypb"
)

// The one place that says which release of the real client is under test.
const clientVersion = "16.7"

type (
	repository                   = gitalypb.Repository
	createRepositoryRequest      = gitalypb.CreateRepositoryRequest
	repositoryExistsRequest      = gitalypb.RepositoryExistsRequest
	findCommitRequest            = gitalypb.FindCommitRequest
	getBlobRequest               = gitalypb.GetBlobRequest
	uploadPackRequest            = gitalypb.SSHUploadPackRequest
	uploadPackSidechannelRequest = gitalypb.SSHUploadPackWithSidechannelRequest
	receivePackRequest           = gitalypb.SSHReceivePackRequest
	postUploadPackSidechannel    = gitalypb.PostUploadPackWithSidechannelRequest
	infoRefsRequest              = gitalypb.InfoRefsRequest
	sidechannelConn              = client.SidechannelConn
	registry                     = *client.SidechannelRegistry
)

var (
	rpcCredentials             = gitalyauth.RPCCredentialsV2
	dialContext                = client.DialContext
	dialSidechannel            = client.DialSidechannel
	healthCheckDialer          = client.HealthCheckDialer
	newPool                    = client.NewPoolWithOptions
	withDialer                 = client.WithDialer
	newSidechannelRegistry     = client.NewSidechannelRegistry
	uploadPack                 = client.UploadPack
	uploadPackWithSidechannel  = client.UploadPackWithSidechannel
	receivePack                = client.ReceivePack
	newRepositoryServiceClient = gitalypb.NewRepositoryServiceClient
	newCommitServiceClient     = gitalypb.NewCommitServiceClient
	newBlobServiceClient       = gitalypb.NewBlobServiceClient
	newSmartHTTPServiceClient  = gitalypb.NewSmartHTTPServiceClient
)
